"""Runs of the benchmark that are ended from outside, and two of them compared."""

from __future__ import annotations

from collections.abc import Callable

from robot_io.benchmark.progress import SoFar
from robot_io.benchmark.record import RunRecord


class Killed(Exception):
    """What ends a run from outside."""


def killed_after(episodes: int) -> Callable[[SoFar], None]:
    """To be told how far a run is; ends it when so many training episodes are done."""

    def tell(so_far: SoFar) -> None:
        if len(so_far.training) == episodes:
            raise Killed("from outside")

    return tell


def same(one: RunRecord, other: RunRecord) -> bool:
    frames = zip(one.frames(), other.frames(), strict=True)
    return all(a.equals(b) for a, b in frames) and (one.config, one.made) == (other.config, other.made)
