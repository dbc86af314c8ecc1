"""From a stage and its computation to a Dagster asset: partitions, checks, metadata, data version.

Dagster cannot map a session to its task, so an asset of the one kind that reads one of the other maps to all its
partitions; what it really reads is in our own version, which is the data version Dagster shows. A run over several
partitions has one data version for all of them, the hash of theirs; each one's own is in its metadata.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from assets import plots
from assets.links import link_of
from assets.making import Compute, Maker
from assets.manifest import CheckResult, Manifest, directory
from assets.stages import STAGE, Stage
from assets.versions import hashed
from episodes.store import EpisodeStore
from episodes.workspace import Workspace

PARTITIONS = {kind: dg.DynamicPartitionsDefinition(name=kind) for kind in ("session", "task")}


def stage(key: str) -> Callable[[Compute], dg.AssetsDefinition]:
    """Make the decorated `compute(work) -> Made` the asset of the stage `key`."""
    return lambda compute: asset_of(STAGE[key], compute)


def asset_of(stage: Stage, compute: Compute) -> dg.AssetsDefinition:
    """The Dagster asset of a stage."""

    def run(context: dg.AssetExecutionContext, maker: dg.ResourceParam[Maker]) -> Iterator[Any]:
        made = []
        for partition in context.partition_keys:
            manifest = maker.make(stage.key, partition, compute)
            made.append(manifest)
            context.add_asset_metadata(_metadata(maker, stage, manifest), stage.path, partition)
        yield from _results(stage, made)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # single-run backfills
        return dg.asset(
            key=stage.path,
            partitions_def=PARTITIONS[stage.partition],
            deps=[_dep(stage, STAGE[key]) for key in stage.deps],
            check_specs=[dg.AssetCheckSpec(name, asset=stage.path, blocking=True) for name in stage.checks],
            group_name=stage.group,
            kinds=set(stage.kinds),
            code_version=stage.code_version,
            description=stage.about,
            backfill_policy=dg.BackfillPolicy.single_run(),
            output_required=False,
        )(run)


def _dep(stage: Stage, upstream: Stage) -> dg.AssetDep:
    mapping = None if stage.partition == upstream.partition else dg.AllPartitionMapping()
    return dg.AssetDep(upstream.path, partition_mapping=mapping)


def _results(stage: Stage, made: list[Manifest]) -> Iterator[Any]:
    """The materialization, unless the data were refused and there is nothing; and the line of every check."""
    versions = [manifest.data_version for manifest in made]
    checks = [_check(stage, name, made) for name in stage.checks]
    if any(manifest.files for manifest in made):
        version = dg.DataVersion(versions[0] if len(versions) == 1 else hashed(versions))
        yield dg.MaterializeResult(data_version=version, check_results=checks)
    else:
        yield from checks


def _check(stage: Stage, name: str, made: list[Manifest]) -> dg.AssetCheckResult:
    """One check over the partitions of a run: the worst of its lines, all of them as metadata."""
    lines = {m.partition: next(check for check in m.checks if check.name == name) for m in made}
    worst = min(lines.values(), key=_goodness)
    severity = dg.AssetCheckSeverity.WARN if worst.severity == "warning" else dg.AssetCheckSeverity.ERROR
    metadata = {partition: line.sentence for partition, line in lines.items()}
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(stage.path),
        check_name=name,
        passed=worst.passed,
        severity=severity,
        description=worst.sentence,
        metadata=metadata,
    )


def _goodness(line: CheckResult) -> int:
    return 2 if line.passed else 1 if line.severity == "warning" else 0


def _metadata(maker: Maker, stage: Stage, manifest: Manifest) -> dict[str, Any]:
    """What a person reads in the UI: figures, the freeze by name, where it lies, the pictures."""
    shown: dict[str, Any] = {**manifest.metadata, "data version": manifest.data_version, "seconds": manifest.seconds}
    if stage.freeze:
        freeze = manifest.freeze
        shown["freeze"] = f"{freeze.name} ({freeze.count} decisions)" if freeze else "none"
    link = link_of(EpisodeStore(maker.root), stage, manifest.partition)
    if link:
        shown["check it in the app"] = dg.MetadataValue.url(link)
    tables = [name for name in manifest.files if name.endswith((".parquet", ".safetensors", ".json"))]
    if tables:
        shown["files"] = dg.MetadataValue.md("\n".join(f"- `{name}`" for name in tables[:8]))
    for path in sorted(directory(Workspace(maker.root), stage, manifest.partition).glob("*.png")):
        shown[path.stem] = dg.MetadataValue.md(plots.markdown(path.read_bytes()))
    return {name: value for name, value in shown.items() if value is not None}
