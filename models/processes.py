"""Processes that train or drive side by side, and how a Ctrl-C stops them.

A terminal sends Ctrl-C to everybody in the foreground. It is meant for the command that a person typed, so these
processes never see it: they start with the signal blocked. The command sets one flag, which the work in them heeds
between two steps, as if it had been pressed there. A command that is killed sets nothing: they notice that it is gone,
and end as well.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import connection, get_context, parent_process
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")

_stop: Event | None = None
"""of this process, where it is one of these"""
_working = threading.Lock()
"""held while this process is at work"""


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
            return [self._pool.submit(_do, work, job) for job in jobs]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heed_stop() -> None:
    """Raise `KeyboardInterrupt` where this is one of the processes and their command was stopped."""
    if _stop is not None and _stop.is_set():
        raise KeyboardInterrupt


def _do(work: Callable[[U], T], job: U) -> T:
    with _working:
        heed_stop()
        return work(job)


def _belong(stop: Event) -> None:
    global _stop
    _stop = stop
    command = parent_process()
    assert command is not None
    threading.Thread(target=_end_after, args=(command.sentinel, stop), daemon=True).start()


def _end_after(command: int, stop: Event) -> None:
    """Wait until the command is gone, let what runs here heed it, and end: no job will come any more."""
    connection.wait([command])
    stop.set()
    with _working:
        os._exit(1)
