"""Processes that train or drive side by side, and how a Ctrl-C stops them.

A terminal sends Ctrl-C to everybody in the foreground. It is meant for the command that a person typed, so these
processes never see it: they start with the signal blocked. The command sets one flag, which the work in them heeds
between two steps, as if it had been pressed there.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")

_stop: Event | None = None
"""of this process, where it is one of these"""


class Processes:
    """Some processes and their flag. To be kept: each takes seconds to start."""

    def __init__(self, workers: int) -> None:
        context = get_context("spawn")
        self._stop = context.Event()  # made first: it starts Python's resource tracker, which touches the signal mask
        self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_belong, initargs=(self._stop,))

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._stop.set()
        self._pool.shutdown(cancel_futures=kind is not None)

    def start(self, work: Callable[[U], T], jobs: Sequence[U]) -> list[Future[T]]:
        """Begin all jobs, as many at a time as there are processes."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what is started now inherits it
        try:
            return [self._pool.submit(work, job) for job in jobs]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heed_stop() -> None:
    """Raise `KeyboardInterrupt` where this is one of the processes and their command was stopped."""
    if _stop is not None and _stop.is_set():
        raise KeyboardInterrupt


def _belong(stop: Event) -> None:
    global _stop
    _stop = stop
