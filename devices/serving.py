"""One model being served: its queue, its child, and who gets what when the child fails."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Protocol

from edge_aigc.controls import nth_seed
from edge_aigc.devices.child import Child
from edge_aigc.devices.frames import Answer, Failed, Made, Ready, Refused, Work
from edge_aigc.errors import BundleError, EdgeAigcError, FileError, RuntimeMissingError, WorkerError
from edge_aigc.mqtt.messages import ErrorBody, shortened

if TYPE_CHECKING:
    from pathlib import Path

    from edge_aigc.devices.jobs import Job
    from edge_aigc.devices.settings import ChildSettings
    from edge_aigc.manifest import Manifest

_START_ERRORS: dict[str, type[EdgeAigcError]] = {
    error.code: error for error in (BundleError, FileError, RuntimeMissingError)
}


class Listener(Protocol):
    """Who is told what becomes of jobs."""

    def output(self, job: Job, index: int, made: Made, manifest: Manifest) -> None:
        """One sample is made."""

    def failed(self, job: Job, error: ErrorBody) -> None:
        """A job is over: its caller gets this error."""

    def proven(self, serving: Serving) -> None:
        """The bundle is open and has proven itself."""

    def unable(self, serving: Serving, problem: Failed) -> None:
        """The bundle cannot be served; the child will be started again."""


class Serving:
    """A bundle, the child that has it open, and the jobs for it.

    Attributes:
        manifest: The bundle's, once it has proven itself.
        runtime: The interpreter's package and release.
        fallback: Why the accelerator that the bundle was made for does not run it; empty where it does.
        problem: Why the bundle cannot be served, while that is so.
    """

    def __init__(self, bundle: Path, settings: ChildSettings, listener: Listener) -> None:
        """Prepare; the caller starts `child`."""
        self.child = Child(bundle, settings)
        self.manifest: Manifest | None = None
        self.runtime = self.fallback = ""
        self.problem: Failed | None = None
        self._outstanding = settings.outstanding
        self._listener = listener
        self._waiting: deque[Job] = deque()
        self._sent: OrderedDict[int, tuple[Job, int]] = OrderedDict()
        self._tickets = 0

    @property
    def name(self) -> str:
        """The model's name, or its file's until it is known."""
        return self.manifest.name if self.manifest is not None else self.child.bundle.name

    @property
    def jobs(self) -> list[Job]:
        """Every job that is not over, the oldest first."""
        under_way = [job for job, _ in self._sent.values()]
        return list(dict.fromkeys(job for job in [*under_way, *self._waiting] if not job.over))

    @property
    def samples(self) -> int:
        """How many samples are still to be made."""
        return sum(job.count - job.made for job in self.jobs)

    @property
    def next_expiry_s(self) -> float | None:
        """When the first of the jobs expires."""
        return min((job.expires_at_s for job in self.jobs if job.expires_at_s is not None), default=None)

    def offer(self, job: Job, now_s: float) -> None:
        """Take a job."""
        self._waiting.append(job)
        self.dispatch(now_s)

    def dispatch(self, now_s: float) -> None:
        """Keep the child in work."""
        while self._waiting and self.child.state == "ready" and self.child.outstanding < self._outstanding:
            job = self._waiting[0]
            if job.over or job.next_index == job.count:
                self._waiting.popleft()
                continue
            index = job.next_index
            job.next_index += 1
            self._tickets += 1
            self._sent[self._tickets] = (job, index)
            work = Work(
                ticket=self._tickets,
                seed=nth_seed(job.seed, index),
                controls=dict(job.controls),
                format=job.format.name,
                pictures=dict(job.pictures),
            )
            self.child.send(work, now_s)

    def take(self, answer: Answer) -> None:
        """Act upon what the child said."""
        if isinstance(answer, Ready):
            self._opened(answer)
        elif isinstance(answer, Failed):
            self._unable(answer)
        else:
            job, index = self._sent.pop(answer.ticket)
            if not job.over:
                self._settle(job, index, answer)

    def child_gone(self, how: str, retry_after_ms: int) -> None:
        """Tell the caller whose sample was in the making; the others keep their place."""
        in_turn = list(self._sent.values())
        self._sent.clear()
        if in_turn:
            self._fail(in_turn[0][0], "worker", f"The process that generates {self.name} {how}.", retry_after_ms)
        for job, index in reversed(in_turn[1:]):
            if not job.over:
                job.next_index = index
                if job not in self._waiting:
                    self._waiting.appendleft(job)

    def start_error(self, how: str) -> EdgeAigcError:
        """Return why the child could not begin, if it ended ``how``."""
        if self.problem is None:
            return WorkerError(
                f"The process that opened {self.child.bundle} {how}.",
                remedy="Check the bundle with `edge-aigc inspect`, and make it again.",
            )
        kind = _START_ERRORS.get(self.problem.code, BundleError)
        return kind(self.problem.message, remedy=self.problem.remedy)

    def expire(self, now_s: float) -> None:
        """End the jobs whose callers have stopped waiting."""
        for job in self.jobs:
            if job.expired(now_s):
                waited_ms = (now_s - job.received_at_s) * 1e3
                error = ErrorBody(
                    code="expired",
                    message=f"The request expired after {waited_ms:.0f} ms, with {job.made} of {job.count} made.",
                    remedy="Allow it more time, or ask when the device is less busy.",
                )
                self._end(job, error)

    def cancel(self, *, keep_under_way: bool) -> None:
        """End the jobs with `stopping`; those whose last samples are in the making may be kept."""
        under_way = {id(job) for job, _ in self._sent.values() if job.next_index == job.count}
        for job in self.jobs:
            if not (keep_under_way and id(job) in under_way):
                self._fail(job, "stopping", "The device is stopping.", 5000)

    def _opened(self, answer: Ready) -> None:
        if self.manifest is not None and answer.manifest.name != self.manifest.name:
            # Its file was replaced while the child was down.
            message = f"{self.child.bundle} now holds the model {answer.manifest.name!r}."
            self._unable(Failed(code="bundle", message=message, remedy="Put the right bundle back, or restart."))
            self.child.kill()
            return
        self.manifest, self.runtime, self.problem = answer.manifest, answer.runtime, None
        self.fallback = shortened(answer.fallback)
        self._listener.proven(self)

    def _unable(self, problem: Failed) -> None:
        self.problem = problem
        message = shortened(f"{self.name} cannot be served now: {problem.message}")
        for job in self.jobs:
            self._end(job, ErrorBody(code="worker", message=message, remedy=problem.remedy, retry_after_ms=5000))
        self._listener.unable(self, problem)

    def _settle(self, job: Job, index: int, answer: Made | Refused) -> None:
        if isinstance(answer, Refused):
            error = ErrorBody(code=answer.code, message=shortened(answer.message), remedy=shortened(answer.remedy))
            self._end(job, error)
            return
        assert self.manifest is not None
        job.made += 1
        job.over = job.made == job.count
        self._listener.output(job, index, answer, self.manifest)

    def _fail(self, job: Job, code: str, message: str, retry_after_ms: int) -> None:
        error = ErrorBody(code=code, message=message, remedy="Send the request again.", retry_after_ms=retry_after_ms)
        self._end(job, error)

    def _end(self, job: Job, error: ErrorBody) -> None:
        if not job.over:
            job.over = True
            self._listener.failed(job, error)
