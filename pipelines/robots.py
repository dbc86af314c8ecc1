"""The processes that simulated robots run in, and how a Ctrl-C stops them.

A terminal sends Ctrl-C to everybody in the foreground. It is meant for the command that a person typed, so the
processes never see it: they start with the signal blocked. The command sets one flag, and every session ends itself
between two steps, as if the person had pressed it there: what was recorded of the episode is kept as incomplete.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

    from robot_io.loop import EpisodeSummary, Live
    from robot_io.protocols import Decision, Step

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")

_stop: Event | None = None
"""of this process, where it is one of the robots'"""


class Robots:
    """Some processes and their flag. To be kept: each takes seconds to start."""

    def __init__(self, workers: int) -> None:
        context = get_context("spawn")
        self._stop = context.Event()  # made first: it starts Python's resource tracker, which touches the signal mask
        self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_belong, initargs=(self._stop,))

    def __enter__(self) -> Robots:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self.stop()
        self._pool.shutdown(cancel_futures=kind is not None)

    def start(self, work: Callable[[U], T], jobs: Sequence[U]) -> list[Future[T]]:
        """Begin all jobs, as many at a time as there are processes."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what is started now inherits it
        try:
            return [self._pool.submit(work, job) for job in jobs]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self) -> None:
        """Every session ends at its next step, and none begins any more."""
        self._stop.set()


def heed_stop() -> None:
    """Raise `KeyboardInterrupt` where this process is a robot's and the robots were told to stop."""
    if _stop is not None and _stop.is_set():
        raise KeyboardInterrupt


@dataclass(frozen=True, slots=True)
class StopsBetweenSteps:
    """The loop's `Live` that heeds the flag, and hands on to whoever else watches."""

    live: Live | None

    def step(self, t: int, step: Step, decision: Decision | None) -> None:
        if self.live is not None:
            self.live.step(t, step, decision)
        heed_stop()

    def end(self, summary: EpisodeSummary) -> None:
        if self.live is not None:
            self.live.end(summary)


def _belong(stop: Event) -> None:
    global _stop
    _stop = stop
