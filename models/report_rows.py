"""One line of the offline report: a figure with interval and n, and what was published beside it.

A published figure comes from other robots, tasks and people. `comparable` says in words what is the same and what not,
so that nobody reads two numbers as one experiment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from models.evaluation import Measured

Item = TypeVar("Item")
DRAWS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric on one set of episodes."""

    section: str
    name: str
    of: str
    """which episodes"""
    figure: Measured
    unit: str = ""
    paper: str = ""
    """what was published, empty where nothing was"""
    comparable: str = ""
    """what that has in common with ours"""

    def json(self) -> dict[str, Any]:
        """For a file: what is undefined is null."""
        told = {"section": self.section, "name": self.name, "of": self.of, "unit": self.unit}
        return {**told, **self.figure.json(), "paper": self.paper, "comparable": self.comparable}


def resampled(items: Sequence[Item], statistic: Callable[[Sequence[Item]], float], n: int | None = None) -> Measured:
    """`statistic` of the episodes `items`, with a percentile interval over draws of whole episodes; undefined for none.

    Draws in which the statistic has no answer are left out.
    """
    value = statistic(items) if items else math.nan
    if math.isnan(value):
        return Measured(value=math.nan, lo=math.nan, hi=math.nan, n=len(items) if n is None else n)
    rng = np.random.default_rng(0)
    drawn = [statistic([items[i] for i in rng.integers(0, len(items), len(items))]) for _ in range(DRAWS)]
    lo, hi = np.nanquantile(drawn, [0.025, 0.975])
    return Measured(value=float(value), lo=float(lo), hi=float(hi), n=len(items) if n is None else n)
