"""The sensor: sees new sessions and freezes, and asks for what became stale, one front at a time.

A run holds partitions of one kind, so a tick asks only for what has nothing stale above it; the next tick asks for what
that made possible. The run key holds the version that is wanted: the same work is never asked for twice.
"""

import dagster as dg

from assets.making import Maker
from assets.snapshot import Snapshot
from assets.versions import hashed, survey, wanted
from episodes.workspace import Workspace
from pipelines.plan import ready
from pipelines.resources import register_partitions


@dg.sensor(asset_selection=dg.AssetSelection.all(), minimum_interval_seconds=30)
def what_is_stale(context: dg.SensorEvaluationContext, maker: dg.ResourceParam[Maker]) -> dg.SensorResult:
    """Ask for every stage and partition that is stale and can be made now."""
    if not (maker.root / "workspace.json").exists():
        return dg.SensorResult(skip_reason="there is no workspace yet")
    snapshot = Snapshot.take(Workspace.open(maker.root))
    register_partitions(context.instance, snapshot)
    version_of = wanted(snapshot)
    requests = [
        dg.RunRequest(
            run_key=hashed([batch.partitions[0], [version_of(stage, batch.partitions[0]) for stage in batch.stages]]),
            asset_selection=[dg.AssetKey(stage.path) for stage in batch.stages],
            partition_key=batch.partitions[0],
        )
        for batch in ready(survey(snapshot))
    ]
    return dg.SensorResult(requests, skip_reason=None if requests else "nothing is stale")
