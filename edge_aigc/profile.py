"""What a device is to us: the keys of a profile, with units.

Profiles are TOML files, one a device, in `edge_aigc.devices.profiles` and in folders of the user's; these
are the classes that they are read into. Both sides use them, so they live here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec

from edge_aigc.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Mapping

Runtime: TypeAlias = Literal["litert", "tflite"]
"""ai-edge-litert, and tflite-runtime 2.14."""
AnyRuntime: TypeAlias = Literal["litert", "tflite", "tensorrt"]
"""What may be asked to run a bundle on a device: a runtime, or the engine that `accelerate` built there."""
RecipeName: TypeAlias = Literal["float32", "float16", "dynamic", "int4", "int8", "int16x8", "mixed"]
TargetName: TypeAlias = Literal["xnnpack", "edgetpu"]

PROFILE_LIMIT_BYTES = 64 << 10
OLDEST_PYTHON = (3, 10)
"""What the device side of this project runs on: `python_requires` in setup.cfg."""
SHARE_FOR_US = 0.75
"""Of the RAM, where a profile does not say what is left: the rest is the system's and the neighbours'."""

_NonEmpty = msgspec.Meta(min_length=1)
_Release = msgspec.Meta(pattern=r"^\d+(\.\d+)*$")
_Positive = msgspec.Meta(ge=1)
_AboveZero = msgspec.Meta(gt=0)


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Cpu(_Table, frozen=True, kw_only=True):
    """The processor that the interpreter runs on."""

    soc: str | None = None
    core: str
    """Its microarchitecture, for example ``Cortex-A72``."""
    cores: Annotated[int, _Positive]
    clock_hz: Annotated[int, _Positive] | None = None
    """The highest that it keeps up by default."""
    isa: tuple[str, ...] = ()
    """Vector extensions that XNNPACK has kernels for; on Arm those beyond NEON: fp16, dotprod, i8mm."""
    l1d_bytes: Annotated[int, _Positive] | None = None
    """Of each core."""
    l2_bytes: Annotated[int, _Positive] | None = None
    """Of each core or each cluster, as the source states it."""
    l3_bytes: Annotated[int, _Positive] | None = None
    qemu: str | None = None
    """What QEMU's user mode calls it, or the nearest that it has (`-cpu`)."""
    ipc: dict[str, Annotated[float, _AboveZero]] = {}
    """Instructions that it completes in a cycle while it computes, by kind of kernel."""


class Memory(_Table, frozen=True, kw_only=True):
    """The memory that the processor computes in."""

    ram_bytes: Annotated[int, _Positive]
    """Of the smallest variant of the board, unless the profile is of a larger one."""
    for_us_bytes: Annotated[int, _Positive] | None = None
    """What is left for a worker beside the system; None takes three quarters."""
    bandwidth_bytes_per_s: Annotated[int, _Positive] | None = None
    """What a copy keeps up where somebody measured it, else the data sheet's peak: the source says which."""


class Accelerator(_Table, frozen=True, kw_only=True):
    """What computes beside the processor."""

    kind: Literal["edgetpu", "gpu"]
    name: str
    delegate: str | None = None
    """The library that hands it operators, for example ``libedgetpu.so.1``."""
    transport: Literal["usb", "pcie"] | None = None
    sram_bytes: Annotated[int, _Positive] | None = None
    """For parameters."""
    peak_ops_per_s: Annotated[float, _AboveZero] | None = None


class Image(_Table, frozen=True, kw_only=True):
    """One operating system that the board runs, and what of ours installs there."""

    name: str
    python: Annotated[str, _Release]
    """The system's."""
    own_python: Annotated[str, _Release] | None = None
    """A newer one that the user installs beside it, where the system's is too old for us."""
    glibc: Annotated[str, _Release]
    wheels: dict[Runtime, Annotated[str, _Release]] = {}
    """Release of each runtime that installs there, under `own_python` where one is stated."""

    @property
    def serves(self) -> bool:
        """Whether the daemon runs there on the system's own Python."""
        return bool(self.wheels) and self.own_python is None and _numbers(self.python) >= OLDEST_PYTHON


class Power(_Table, frozen=True, kw_only=True):
    """What the board takes, watts."""

    idle_w: Annotated[float, _AboveZero] | None = None
    load_w: Annotated[float, _AboveZero] | None = None


class DeviceProfile(_Table, frozen=True, kw_only=True):
    """One kind of device. A fact that is not known is left out, not guessed."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    title: str
    target: TargetName
    """What compiles for it: a file of `edge_aigc.converters.targets`."""
    runtimes: Annotated[tuple[Runtime, ...], _NonEmpty]
    """The preferred one first; a bundle loads on every one of them unless the user asks for one."""
    recipes: Annotated[tuple[RecipeName, ...], _NonEmpty]
    """What `--recipe` may name."""
    auto_recipes: Annotated[tuple[RecipeName, ...], _NonEmpty]
    """What `--recipe auto` chooses among."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Of the interpreter, by default: one leaves the other cores to the rest of the house."""
    cpu: Cpu
    memory: Memory
    accelerator: Accelerator | None = None
    images: Annotated[tuple[Image, ...], _NonEmpty]
    """The recommended one first."""
    power: Power = Power()
    notes: tuple[str, ...] = ()
    sources: dict[str, str] = {}
    """Key above, dotted (``cpu.clock_hz``) or a whole table's: where it is stated or who measured it."""

    @property
    def ram_for_us_bytes(self) -> int:
        """What a worker may take."""
        return self.memory.for_us_bytes or int(self.memory.ram_bytes * SHARE_FOR_US)

    @property
    def convert_only(self) -> bool:
        """Whether the system's Python is too old for the daemon on every image."""
        return not any(image.serves for image in self.images)

    def release(self, runtime: Runtime) -> str | None:
        """Return the release of a runtime that the first image with it installs, or None."""
        return next((image.wheels[runtime] for image in self.images if runtime in image.wheels), None)


def decode_profile(content: bytes, *, origin: str) -> dict[str, Any]:
    """Return the keys of a profile's TOML, unchecked.

    Raises:
        ProfileError: It is not TOML.
    """
    try:
        fields: dict[str, Any] = msgspec.toml.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise _unreadable(origin, exc) from exc
    return fields


def parse_profile(fields: Mapping[str, Any], *, origin: str) -> DeviceProfile:
    """Make a profile of its keys.

    Args:
        fields: As `decode_profile` gives them, with those of the profile that it extends filled in.
        origin: The file's name, for messages.

    Raises:
        ProfileError: A key is missing, unknown or of a wrong type, or two contradict each other.
    """
    try:
        profile = msgspec.convert(fields, DeviceProfile)
    except msgspec.MsgspecError as exc:
        raise _unreadable(origin, exc) from exc
    outside = [recipe for recipe in profile.auto_recipes if recipe not in profile.recipes]
    if outside:
        raise ProfileError(
            f"The profile {origin} lets `auto` choose {outside[0]!r}, which is not among its recipes.",
            remedy="Add it to `recipes` or take it out of `auto_recipes`.",
        )
    if profile.ram_for_us_bytes > profile.memory.ram_bytes:
        raise ProfileError(
            f"The profile {origin} leaves us {profile.ram_for_us_bytes:,} B of {profile.memory.ram_bytes:,} B of RAM.",
            remedy="Correct `for_us_bytes` or `ram_bytes` under `[memory]`.",
        )
    for runtime in profile.runtimes:
        if profile.release(runtime) is None:
            raise ProfileError(
                f"The profile {origin} lists the runtime {runtime!r}, and none of its images has a wheel of it.",
                remedy=f'State the release: `wheels = {{ {runtime} = "…" }}` under `[[images]]`.',
            )
    return profile


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a profile that extends another: what it states replaces, a table as a whole.

    Table by table and not key by key, so that no fact of one board is ever told of another. The sources of
    what is replaced go with it.
    """
    sources = {key: text for key, text in base.get("sources", {}).items() if key.partition(".")[0] not in changes}
    stated = changes.get("sources", {})
    result = {**base, **changes, "sources": {**sources, **stated} if isinstance(stated, dict) else stated}
    del result["extends"]
    return result


def facts(fields: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted keys of everything that a profile's TOML states, tables opened, lists whole."""
    keys: list[str] = []
    for key, value in fields.items():
        if not prefix and key == "sources":
            continue
        path = f"{prefix}{key}"
        keys += facts(value, f"{path}.") if isinstance(value, dict) else [path]
    return keys


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def _unreadable(origin: str, exc: Exception) -> ProfileError:
    return ProfileError(
        f"The profile {origin} cannot be read: {exc}.",
        remedy="Correct that key; `edge-aigc profiles rpi4 --json` shows every key in use, "
        "`edge_aigc/profile.py` explains them.",
    )
