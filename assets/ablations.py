"""The comparisons of a task: the paper's ablations of the heads, and the objectives of the value.

No stage: nothing is made of it, and `regrasp materialize` never starts it. Materialize it in the UI where they
are wanted; the tables go to `derived/ablations/<task>.md` and `.json`.
"""

import json
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets import inputs
from assets.graph import PARTITIONS
from assets.making import Maker, Work
from assets.snapshot import Snapshot
from assets.stages import STAGE
from episodes.workspace import Workspace, atomic_write

if TYPE_CHECKING:
    from models.ablations import Compared


@dg.asset(
    key=["reports", "ablations"],
    partitions_def=PARTITIONS["task"],
    deps=[STAGE["labels/audited"].path, STAGE["values/model"].path],
    group_name="reports",
    kinds={"pytorch"},
    description="The paper's ablations in their simulated counterpart, and what V is taught, on a confounded set too.",
)
def ablations(context: dg.AssetExecutionContext, maker: dg.ResourceParam[Maker]) -> dg.MaterializeResult:
    """Train every variant on what stands, judge it out of fold, write both tables."""
    from models.ablations import as_markdown

    workspace = Workspace.open(maker.root)
    compared = _compared(workspace, context.partition_key, maker)
    text, place = as_markdown(compared), workspace.derived / "ablations"
    place.mkdir(parents=True, exist_ok=True)
    atomic_write(place / f"{context.partition_key}.md", text.encode())
    content = json.dumps([line.json() for line in compared], indent=1, allow_nan=False)
    atomic_write(place / f"{context.partition_key}.json", content.encode())
    return dg.MaterializeResult(metadata={"tables": dg.MetadataValue.md(text)})


def _compared(workspace: Workspace, task: str, maker: Maker) -> "list[Compared]":
    from models.ablations import compare_heads, compare_values
    from models.labelling import trained_labels

    work = Work(
        snapshot=Snapshot.take(workspace), stage=STAGE["models/intervention"], partition=task, out=workspace.root
    )
    episodes, value = inputs.episodes(work), inputs.value_model(work)
    audited = pl.read_parquet(work.upstream("labels/audited") / "labels.parquet")
    labels = trained_labels(audited, {episode.episode_id: len(episode) for episode in episodes})
    curves = {e.episode_id: curve for session in work.sessions for e, curve in inputs.judged(work, session)}
    heads = compare_heads(episodes, labels, value, work.config("intervention"), curves=curves, progress=maker.progress)
    return [*heads, *compare_values(episodes, value.config, progress=maker.progress)]
