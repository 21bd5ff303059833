"""`python -m edge_aigc.cli.embedded_broker PORT`: amqtt on the loopback address until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys


async def serve(port: int) -> None:
    """Run the broker; MQTT 3.1.1 only, anonymous, nothing kept."""
    from amqtt.broker import Broker

    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(config)
    await broker.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await broker.shutdown()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1])))
