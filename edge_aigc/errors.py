"""The tree of errors: what is wrong, with the numbers, and what to do.

::

    EdgeAigcError            exit 1
    ├── UsageError           exit 2   the command line does not make sense
    ├── PromiseError         exit 3   fidelity, size, RAM or latency not kept
    ├── SpecError            the specification of a generator is missing, incomplete or does not fit
    ├── ProfileError         no such device profile, or a profile that cannot be read
    ├── SourceError          a model to convert that cannot be read
    ├── ConversionError      a model that was read cannot be made into a bundle
    │   └── CompatibilityError   the runtime or the accelerator cannot run an operator
    ├── BundleError          a bundle that is damaged, unknown or does not prove itself
    │   └── ProofError           it makes something else here than its golden vectors say
    ├── RuntimeMissingError  no interpreter here, or one that cannot start
    ├── InputError           a seed, control or picture that the generator cannot take
    ├── FileError            the disk refused: full, read-only, not permitted
    ├── EmulationError       a device cannot be emulated here, or what ran in emulation died
    │   └── BoardMemoryError     more memory taken than the board has
    ├── WorkerError          the process that generates died or took too long
    ├── SshError             the machine of `--on` cannot be reached, or cannot do what it is asked
    └── BrokerError          the MQTT broker is absent or refuses
        └── RemoteError      the device answered a request with an error
"""

from __future__ import annotations

from typing import ClassVar


class EdgeAigcError(Exception):
    """Base of all errors that a user can meet.

    Attributes:
        message: What is wrong, with the numbers.
        remedy: What to do about it.
        code: A short stable word for programs, in the ``--json`` error and in MQTT replies.
        exit_code: What the command exits with.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str) -> None:
        """Keep both halves of what the user reads."""
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the message and the remedy as one text."""
        return f"{self.message} {self.remedy}"


class UsageError(EdgeAigcError):
    """The command line does not make sense."""

    code = "usage"
    exit_code = 2


class PromiseError(EdgeAigcError):
    """A promise was not kept: fidelity, size, RAM or latency.

    Attributes:
        tried: Everything that was tried, for the one who shows it; None where nothing was measured.
    """

    code = "promise"
    exit_code = 3

    def __init__(self, message: str, *, remedy: str, tried: object = None) -> None:
        """Keep what was tried beside the words."""
        super().__init__(message, remedy=remedy)
        self.tried = tried


class SpecError(EdgeAigcError):
    """The specification is missing something, contradicts itself, or does not fit the model."""

    code = "spec"


class ProfileError(EdgeAigcError):
    """There is no such profile, or it cannot be read."""

    code = "profile"


class SourceError(EdgeAigcError):
    """The model to convert cannot be read."""

    code = "source"


class ConversionError(EdgeAigcError):
    """The model was read but cannot be made into a bundle."""

    code = "conversion"


class CompatibilityError(ConversionError):
    """A runtime or an accelerator cannot run an operator of the model."""

    code = "compatibility"


class BundleError(EdgeAigcError):
    """The bundle is damaged, of an unknown format, or does not prove itself here."""

    code = "bundle"


class ProofError(BundleError):
    """The bundle makes something else here than its golden vectors say."""


class RuntimeMissingError(EdgeAigcError):
    """No TFLite interpreter is installed, or the installed one cannot start."""

    code = "runtime"


class InputError(EdgeAigcError):
    """A seed, a control or a picture that this generator cannot take."""

    code = "input"


class FileError(EdgeAigcError):
    """The file system refused to read or to write."""

    code = "file"


class EmulationError(EdgeAigcError):
    """A device cannot be emulated here, or what ran in emulation died."""

    code = "emulation"


class BoardMemoryError(EmulationError):
    """An emulated board ran out of memory.

    Attributes:
        needed_bytes: What the process had taken when it was killed, less an idle interpreter's; it may want more.
        limit_bytes: What the board has left for it.
    """

    code = "memory"

    def __init__(self, message: str, *, remedy: str, needed_bytes: int, limit_bytes: int) -> None:
        """Keep the numbers beside the words."""
        super().__init__(message, remedy=remedy)
        self.needed_bytes = needed_bytes
        self.limit_bytes = limit_bytes


class WorkerError(EdgeAigcError):
    """The process that generates died or took too long."""

    code = "worker"


class SshError(EdgeAigcError):
    """The machine of `--on` cannot be reached over ssh, or cannot do what it is asked."""

    code = "ssh"


class BrokerError(EdgeAigcError):
    """The MQTT broker is absent, refuses, or does not answer."""

    code = "broker"


class RemoteError(BrokerError):
    """The device answered a request with an error.

    Attributes:
        remote_code: The ``code`` of the device's error.
        retry_after_ms: When the device asks to be tried again, or None.
    """

    code = "remote"

    def __init__(self, message: str, *, remedy: str, remote_code: str, retry_after_ms: int | None = None) -> None:
        """Keep the device's own code beside its words."""
        super().__init__(message, remedy=remedy)
        self.remote_code = remote_code
        self.retry_after_ms = retry_after_ms
