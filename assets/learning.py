"""The trainings of a stage: what is asked of them, what a killed one goes on from, and how they went.

A stage is swapped in whole, so what a killed run has trained lies beside it, in `derived/<key>/.<partition>.training/`,
by the version of the stage that was being made: after a change of data or settings it is not gone on with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from assets import plots
from assets.making import Work

if TYPE_CHECKING:
    from models.training import Training

FILE = "learning.parquet"
SCHEMA = {"net": pl.String, "step": pl.Int64, "loss": pl.Float64, "validation": pl.Float64}


def training(work: Work) -> Training:
    """What the fits of this stage are given."""
    from models.training import Training

    return Training(config=work.config("training"), directory=work.unfinished, of=work.version)


def told(work: Work, done: Training) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Metadata and picture of how the nets learned; every point of it goes to `learning.parquet`."""
    rows = [(net, *point) for net, points in sorted(done.curves.items()) for point in points]
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    table.write_parquet(work.out / FILE)
    ends = table.group_by("net", maintain_order=True).last()
    figures = {f"loss at the end, {net}": loss for net, loss in ends.select("net", "loss").iter_rows()}
    if done.config.validate:
        best = table.filter(pl.col("validation").is_not_nan()).sort("validation", maintain_order=True)
        lowest = best.group_by("net", maintain_order=True).first().sort("net")
        figures |= {f"step kept, {net}": step for net, step in lowest.select("net", "step").iter_rows()}
    lines = {
        net: (points["step"].to_numpy(), points["loss"].to_numpy(), points["validation"].to_numpy())
        for (net,), points in table.group_by(["net"], maintain_order=True)
    }
    return {k: v for k, v in figures.items() if math.isfinite(v)}, {"learning": plots.descent(lines)}
