"""PyTorch's side of the suite: a process that only PyTorch is in, told what to do by lines of JSON.

It needs torch, NumPy and h5py; with onnx and onnxscript it writes the nets as ONNX, too. Requests and replies:

    {"do": "load", "net": NAME, "inputs": FILE.npz, "outputs": FILE.npz, "onnx": FOLDER or null}
        -> {"forms": [NAME…], "torch": RELEASE, "onnx": [FILE…], "missing": {FILE: REASON}}
    {"do": "time", "form": NAME, "seconds": AT_MOST, "most": ROUNDS}   -> {"ms": [FLOAT…]}

A request that fails is answered with {"error": WORDS}. It ends with its standard input.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generators import NETS
from generators.torch_layers import TorchNet

from contest.clock import timed

_VARIANTS = {"fused": True, "unfused": False}
"""Of modulated convolutions; other nets have one variant."""


class Loaded:
    """A net in the forms that PyTorch runs it in."""

    def __init__(self, request: dict[str, Any]) -> None:
        """Build the forms, run one, write ONNX."""
        net = NETS[request["net"]]
        with np.load(request["inputs"]) as kept:
            arrays = [kept[f"arr_{index}"] for index in range(len(kept.files))]
        self.inputs = [
            torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1) if fact.maps else array))
            for array, fact in zip(arrays, net.inputs, strict=True)
        ]
        variants = _VARIANTS if net.name.startswith("stylegan") else {"": True}
        self.forms, self.onnx, self.missing = {}, [], {}
        for name, fused in variants.items():
            module = TorchNet(net, fused=fused).eval()
            outputs = module(*self.inputs)
            if not self.forms:
                moved = [output.numpy() for output in outputs]
                np.savez(request["outputs"], *([np.moveaxis(m, 1, -1) for m in moved] if net.maps_out else moved))
            self.forms[f"eager {name}".strip()] = module
            self.forms[f"frozen {name}".strip()] = self._frozen(module)
            if request["onnx"]:
                self._export(module, Path(request["onnx"]) / f"torch{name}.onnx")

    def _frozen(self, module: Any) -> Any:
        return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(module, self.inputs)))

    def _export(self, module: Any, path: Path) -> None:
        if not path.is_file():
            try:
                # TorchScript's exporter: ONNX Runtime folds and fuses, and no onnxscript is needed.
                torch.onnx.export(module, tuple(self.inputs), str(path), dynamo=False, opset_version=17)
            except Exception as exc:  # noqa: BLE001 - a form that cannot be had is a word in the table
                self.missing[path.name] = f"{type(exc).__name__}: {str(exc).strip().splitlines()[0][:200]}"
                return
        self.onnx.append(path.name)


def answer(request: dict[str, Any], loaded: Loaded | None) -> tuple[dict[str, Any], Loaded | None]:
    """Return the reply, and what is loaded from now on."""
    if request["do"] == "load":
        loaded = Loaded(request)
        told = {"forms": list(loaded.forms), "torch": torch.__version__, "onnx": loaded.onnx, "missing": loaded.missing}
        return told, loaded
    assert loaded is not None, "a net is loaded before it is timed"
    form, inputs = loaded.forms[request["form"]], loaded.inputs
    with torch.inference_mode():
        return {"ms": timed(lambda: form(*inputs), seconds=request["seconds"], most=request["most"])}, loaded


def main() -> None:
    """Answer line by line."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    replies, sys.stdout = sys.stdout, sys.stderr  # whatever libraries print is no reply
    loaded: Loaded | None = None
    for line in sys.stdin:
        try:
            reply, loaded = answer(json.loads(line), loaded)
        except Exception as exc:  # noqa: BLE001 - the suite decides
            reply = {"error": f"{type(exc).__name__}: {exc}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
