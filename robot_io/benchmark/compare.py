"""What one method saves against another: the ratio of their intervention rates and the difference of their SR.

Both are over the rigid tasks that both ran, each task counted alike. Trials are paired: all methods are judged on the
same resets, so the difference is taken reset by reset and seed by seed. Intervals as in `table`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from episodes.record import Array
from robot_io.benchmark.protocol import RIGID
from robot_io.benchmark.record import RunRecord
from robot_io.benchmark.table import Interval, by_cell, draws, intervention, mean_rate

AGAINST = ("hil_serl", "random")


def comparisons(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """One row for each method that trains and each of `AGAINST`: `ir_ratio` and `sr_difference`, with intervals."""
    cells = by_cell(runs)
    methods = dict.fromkeys(m for _, m in cells if m != "bc")
    rows = []
    for against in AGAINST:
        for method in (m for m in methods if m != against):
            tasks = [t for t in RIGID if (t, method) in cells and (t, against) in cells]
            pairs = [(cells[t, method], cells[t, against]) for t in tasks]
            if pairs:
                row: dict[str, Any] = {"method": method, "against": against, "tasks": tasks}
                rows.append(row | _ratio(pairs).named("ir_ratio") | _difference(pairs).named("sr_difference"))
    return rows


_Pairs = Sequence[tuple[Sequence[RunRecord], Sequence[RunRecord]]]


def _ratio(pairs: _Pairs) -> Interval:
    """Of the mean intervention rates; both are resampled, each by itself."""
    ours, theirs = ([[intervention(run) for run in pair[side]] for pair in pairs] for side in (0, 1))
    if not all(len(rows) for side in (ours, theirs) for runs in side for rows in runs) or not mean_rate(theirs):
        return Interval(np.nan, np.nan, np.nan)
    ratio, below = mean_rate(ours) / mean_rate(theirs), draws(theirs, seed=2)
    if not below.all():  # so few interventions that a resample has none
        return Interval(ratio, np.nan, np.nan)
    return Interval.of(ratio, draws(ours, seed=1) / below)


def _difference(pairs: _Pairs) -> Interval:
    """Of the success rates, over the seeds that both have."""
    tasks = [_paired(*pair) for pair in pairs]
    tasks = [runs for runs in tasks if runs]
    return Interval.of(mean_rate(tasks), draws(tasks, seed=3)) if tasks else Interval(np.nan, np.nan, np.nan)


def _paired(ours: Sequence[RunRecord], theirs: Sequence[RunRecord]) -> list[Array]:
    """For each common seed (n, 2): the difference on each common reset, out of 1."""
    there = {run.seed: _won(run) for run in theirs}
    rows = []
    for run in ours:
        won, other = _won(run), there.get(run.seed, {})
        rows.append([(won[reset] - other[reset], 1.0) for reset in won if reset in other])
    return [np.array(found, float) for found in rows if found]


def _won(run: RunRecord) -> dict[int, float]:
    """Reset seed -> 1 or 0, of the last trials."""
    return {trial.reset_seed: float(trial.success) for trial in run.trials if trial.test}
