"""Episodes: what was recorded, what is wrong with it, what people decided about it, who may learn from it."""

from __future__ import annotations

import polars as pl

from assets import checks
from assets.graph import stage
from assets.inputs import table
from assets.making import Made, Work
from assets.manifest import read_manifest
from assets.stages import TABLE
from episodes.decided import decide
from episodes.errors import EpisodeFormatError, IntegrityError
from episodes.record import ActionSource, Episode
from episodes.split import assign
from episodes.validation import validate

ATTRIBUTES = (
    *("episode_id", "group_id", "collection", "success", "success_derivation", "end_reason", "complete"),
    *("length", "duration_s", "recorded_at"),
)
VALIDATED = {
    "episode_id": pl.String,
    "collection": pl.String,
    "imported": pl.Boolean,
    "steps": pl.Int64,
    "human_steps": pl.Int64,
    "unknown_steps": pl.Int64,
    "errors": pl.Int64,
    "warnings": pl.Int64,
    "first_defect": pl.String,
}


@stage("episodes/raw")
def raw(work: Work) -> Made:
    """A list of the session's episodes; the recordings themselves stay where they are."""
    ids = work.snapshot.ids[work.partition]
    attributes = [work.store.attributes(episode_id) for episode_id in ids]
    listed = pl.DataFrame([{name: a[name] for name in ATTRIBUTES} for a in attributes])
    listed.write_parquet(work.out / TABLE)
    counts = {f"{name}": n for name, n in listed["success"].value_counts().sort("success").iter_rows()}
    hours = round(float(listed["duration_s"].sum()) / 3600, 3)
    return Made(metadata={"task": work.task, "episodes": len(ids), **counts, "hours": hours})


@stage("episodes/validated")
def validated(work: Work) -> Made:
    """Validate what was not validated before: a recording never changes, so its verdict does not either.

    A damaged one may have been put back.
    """
    before = _validated_before(work)
    rows = [before.get(episode_id) or _verdict(work, episode_id) for episode_id in work.snapshot.ids[work.partition]]
    found = pl.DataFrame(rows, schema=VALIDATED)
    found.write_parquet(work.out / TABLE)
    told = {"episodes": len(found), "errors": int(found["errors"].sum()), "warnings": int(found["warnings"].sum())}
    damaged = tuple(found.filter(pl.col("steps") == 0)["episode_id"])
    return Made(metadata=told, checks=(checks.readable(found), checks.intervention_flag(found)), damaged=damaged)


def _validated_before(work: Work) -> dict[str, dict[str, object]]:
    manifest = read_manifest(work.workspace, work.stage, work.partition)
    if manifest is None or manifest.code_version != work.stage.code_version:
        return {}
    rows = pl.read_parquet(work.upstream(work.stage.key, work.partition) / TABLE).iter_rows(named=True)
    return {str(row["episode_id"]): row for row in rows if row["steps"]}


def _verdict(work: Work, episode_id: str) -> dict[str, object]:
    try:
        episode = work.store.read(episode_id)
    except EpisodeFormatError as error:
        empty = dict.fromkeys(("steps", "human_steps", "unknown_steps", "warnings"), 0)
        told = {"episode_id": episode_id, "collection": "unknown", "imported": False, "first_defect": str(error)}
        return {**told, **empty, "errors": 1}
    defects = validate(episode)
    errors = sum(defect.severity == "error" for defect in defects)
    return {
        "episode_id": episode_id,
        "collection": episode.collection,
        "imported": episode.source_format != "regrasp",
        "steps": len(episode),
        "human_steps": _driven_by(episode, ActionSource.HUMAN),
        "unknown_steps": _driven_by(episode, ActionSource.UNKNOWN),
        "errors": errors,
        "warnings": len(defects) - errors,
        "first_defect": defects[0].message if defects else "",
    }


def _driven_by(episode: Episode, source: ActionSource) -> int:
    return int((episode.action_source == source).sum())


@stage("episodes/decided")
def decided(work: Work) -> Made:
    """Files overlaid by the freeze; what validation refused is excluded."""
    found = pl.concat([table(work, "episodes/validated", session) for session in work.sessions])
    broken = found.filter(pl.col("errors") > 0)["episode_id"].to_list()
    rows = decide(work.store, work.task, work.decisions)
    rows = rows.with_columns(excluded=pl.col("excluded") | pl.col("episode_id").is_in(broken))
    rows.write_parquet(work.out / TABLE)
    counts = dict(rows["success"].value_counts().sort("success").iter_rows())
    told = {"episodes": len(rows), **counts, "excluded": int(rows["excluded"].sum()), "decided": len(work.decisions)}
    made = work.snapshot.freezes["episodes"]
    return Made(metadata=told, checks=(checks.freeze_stands("episode_freeze", "episodes", made, work.workspace),))


@stage("episodes/split")
def split(work: Work) -> Made:
    """Give new episodes their split. The table of record is `split.parquet`; here is the task's part of it."""
    rows = assigned(work)
    rows.write_parquet(work.out / TABLE)
    counts = dict(rows["split"].value_counts().sort("split").iter_rows())
    return Made(metadata=counts, checks=(checks.no_leakage(rows),), elsewhere=(work.workspace.split,))


def assigned(work: Work) -> pl.DataFrame:
    """The split of all episodes of the task; those that nobody has seen before get theirs now, and keep it."""
    _refuse_a_second_first_time(work)
    outcomes = dict(table(work, "episodes/decided").select("episode_id", "success").iter_rows())
    return assign(work.store, work.task, outcomes=outcomes)


def _refuse_a_second_first_time(work: Work) -> None:
    """`IntegrityError` where episodes had a split and the table of it is gone: a new one would differ."""
    lost = work.workspace.split
    if not lost.is_file() and any(work.upstream("episodes/split").parent.glob(f"*/{TABLE}")):
        raise IntegrityError(
            f"{lost} is gone, and with a new split models would be tested on what they learned from; restore it from "
            "a copy, or remove the derived directory as well to begin anew"
        )
