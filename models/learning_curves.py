"""How a run of the benchmark went over its steps: success of the policy alone, and what the person had to do.

Both take rows that carry task, method and seed, so that many runs are one table, and keep them apart.
"""

from __future__ import annotations

import polars as pl

RUN = ("task", "method", "seed")
WINDOW_STEPS = 1_000


def success_curve(trials: pl.DataFrame) -> pl.DataFrame:
    """Columns of `RUN`, `step`, `sr` in 0..1 and its `n`: one row an evaluation on the way; the last one is not."""
    judged = trials.filter(~pl.col("test")).group_by(*RUN, "step")
    return judged.agg(sr=pl.col("success").mean(), n=pl.len()).sort(*RUN, "step")


def intervention_curve(training: pl.DataFrame, window_steps: int = WINDOW_STEPS) -> pl.DataFrame:
    """Columns of `RUN`, `step` and `ir` in 0..1: the person's share of the steps of each window.

    An episode belongs to the window it began in; `step` is the window's end, or the run's where that is earlier.
    """
    end = pl.col("first_step") + pl.col("steps")
    window = (pl.col("first_step") // window_steps).alias("window")
    found = training.group_by(*RUN, window).agg(ir=pl.col("human_steps").sum() / pl.col("steps").sum(), last=end.max())
    step = pl.min_horizontal((pl.col("window") + 1) * window_steps, pl.col("last")).alias("step")
    return found.select(*RUN, step, "ir").sort(*RUN, "step")
