"""The few calls of the CUDA runtime that an engine needs, through ctypes: no package of Python's is needed."""

from __future__ import annotations

import contextlib
import ctypes
from typing import TYPE_CHECKING, Any

from edge_aigc.errors import BundleError, RuntimeMissingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LIBRARIES = (
    # The linker's own way first; JetPack keeps the file where its linker does not always look.
    "libcudart.so",
    "libcudart.so.13",
    "libcudart.so.12",
    "libcudart.so.11.0",
    "/usr/local/cuda/lib64/libcudart.so",
)
_MULTIPROCESSORS, _CAPABILITY_MAJOR, _CAPABILITY_MINOR = 16, 75, 76
"""`enum cudaDeviceAttr` in CUDA's driver_types.h; these numbers have not changed since CUDA 5."""
_TO_DEVICE, _TO_HOST = 1, 2
"""`enum cudaMemcpyKind`, same header."""


class Cuda:
    """The first GPU: memory, one stream, copies.

    Attributes:
        gpu: What a serialized engine is bound to, for example ``sm87x8``: compute capability 8.7, 8 multiprocessors.
    """

    def __init__(self) -> None:
        """Load the library and make a stream.

        Raises:
            RuntimeMissingError: There is no CUDA runtime, or no GPU that it sees.
        """
        self._library = _loaded()
        self.gpu = (
            f"sm{self._attribute(_CAPABILITY_MAJOR)}{self._attribute(_CAPABILITY_MINOR)}"
            f"x{self._attribute(_MULTIPROCESSORS)}"
        )
        stream = ctypes.c_void_p()
        self._must("cudaStreamCreate", ctypes.byref(stream))
        self.stream = int(stream.value or 0)

    def allocate(self, size: int) -> int:
        """Return the address of so many bytes of the GPU's memory.

        Raises:
            BundleError: It has not that many.
        """
        address = ctypes.c_void_p()
        self._must("cudaMalloc", ctypes.byref(address), ctypes.c_size_t(max(1, size)))
        return int(address.value or 0)

    def free(self, address: int) -> None:
        """Give memory back."""
        self._library.cudaFree(ctypes.c_void_p(address))

    def copy_in(self, address: int, values: NDArray[np.generic]) -> None:
        """Copy a contiguous array to the GPU, in the stream's order."""
        self._copy(address, values.ctypes.data, values.nbytes, _TO_DEVICE)

    def copy_out(self, values: NDArray[np.generic], address: int) -> None:
        """Copy from the GPU into a contiguous array, in the stream's order."""
        self._copy(values.ctypes.data, address, values.nbytes, _TO_HOST)

    def wait(self) -> None:
        """Return when everything in the stream is done.

        Raises:
            BundleError: Something in it failed.
        """
        self._must("cudaStreamSynchronize", ctypes.c_void_p(self.stream))

    def _copy(self, target: int, source: int, size: int, kind: int) -> None:
        self._must(
            "cudaMemcpyAsync",
            ctypes.c_void_p(target),
            ctypes.c_void_p(source),
            ctypes.c_size_t(size),
            ctypes.c_int(kind),
            ctypes.c_void_p(self.stream),
        )

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int()
        code = self._library.cudaDeviceGetAttribute(ctypes.byref(value), ctypes.c_int(number), ctypes.c_int(0))
        if code:
            raise RuntimeMissingError(
                f"CUDA sees no GPU here: {self._words(code)}.",
                remedy="Check the driver, for example with `cat /proc/driver/nvidia/version`; the user may need to be "
                "in the group `video`.",
            )
        return value.value

    def _must(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            raise BundleError(
                f"CUDA's {function} failed: {self._words(code)}.",
                remedy="Free some of the GPU's memory, or run on the CPU with `--runtime litert`.",
            )

    def _words(self, code: int) -> str:
        return f"{self._library.cudaGetErrorString(ctypes.c_int(code)).decode(errors='replace')} (error {code})"


def _loaded() -> ctypes.CDLL:
    for name in _LIBRARIES:
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(name)
            library.cudaGetErrorString.restype = ctypes.c_char_p
            return library
    raise RuntimeMissingError(
        "The CUDA runtime is not installed here: no libcudart.so.",
        remedy="On a Jetson: `sudo apt-get install nvidia-jetpack`, or `cuda-cudart-12-6` of JetPack 6 alone.",
    )
