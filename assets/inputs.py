"""What the learned stages read of what was made before, kept in memory from one stage to the next.

A run makes many stages in one process, and reading and judging the same episodes again for each would take longer than
the rest. What is kept is named by version, so it can never be an older one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from assets.making import Work
from assets.manifest import read_manifest
from assets.stages import STAGE, TABLE
from episodes.record import Array
from episodes.store import EpisodeStore

if TYPE_CHECKING:
    from models.dataset import StepData
    from models.value import ValueCurves, ValueModel

KEPT = 1024
"""episodes, about 0.1 MB each"""
_JUDGED: dict[tuple[str, str], ValueCurves] = {}
VALUE_SCHEMA = {
    "episode_id": pl.String,
    "frame_index": pl.Int64,
    **dict.fromkeys(
        ("value", "value_lo", "value_hi", "success_score", "stall_probability", "risk", "progress"), pl.Float64
    ),
}
TRIGGER_SCHEMA = {
    "episode_id": pl.String,
    "frame_index": pl.Int64,
    "trigger_logit": pl.Float64,
    "trigger": pl.Boolean,
    "threshold": pl.Float64,
    "score": pl.Float64,
    "early_trigger": pl.Boolean,
    "cusum": pl.Float64,
    "probability": pl.Float64,
}


def table(work: Work, key: str, session: str | None = None) -> pl.DataFrame:
    """The table of a stage that has one."""
    return pl.read_parquet(work.upstream(key, session) / TABLE)


def usable(work: Work) -> pl.DataFrame:
    """The task's decided episodes that models may read."""
    return table(work, "episodes/decided").filter(~pl.col("excluded") & pl.col("complete"))


def version(work: Work, key: str, session: str | None = None) -> str:
    """The data version that stands of a stage."""
    manifest = read_manifest(work.workspace, STAGE[key], session or work.task)
    assert manifest is not None, "the maker checks that what a stage reads is there"
    return manifest.data_version


def freeze_name(work: Work, key: str) -> str | None:
    """The freeze that a stage of the task was made with."""
    manifest = read_manifest(work.workspace, STAGE[key], work.task)
    return manifest.freeze.name if manifest and manifest.freeze else None


def episodes(work: Work, session: str | None = None) -> list[StepData]:
    """The usable episodes of the task, or of one session of it, sorted by id within each session."""
    sessions = work.sessions if session is None else [session]
    return [e for name in sessions for e in _episodes(work.workspace.root, work.task, name, _versions(work))]


def _versions(work: Work) -> tuple[str, str]:
    return version(work, "episodes/decided"), version(work, "episodes/split")


@lru_cache(maxsize=64)
def _episodes(root: Path, task: str, session: str, versions: tuple[str, str]) -> list[StepData]:
    from models.dataset import load_decided

    derived = root / "derived"
    decided = pl.read_parquet(derived / "episodes/decided" / task / TABLE).filter(pl.col("session") == session)
    return load_decided(EpisodeStore(root), decided, pl.read_parquet(derived / "episodes/split" / task / TABLE))


def value_model(work: Work) -> ValueModel:
    """The task's value model."""
    return _value_model(work.upstream("values/model"), version(work, "values/model"))


@lru_cache(maxsize=4)
def _value_model(directory: Path, data_version: str) -> ValueModel:
    from models.value import ValueModel

    return ValueModel.load(directory)


def value_hash(work: Work) -> str:
    """The hash of the task's value model."""
    from models.checkpoint import model_hash

    return model_hash(work.upstream("values/model"))


def judged(work: Work, session: str) -> Iterator[tuple[StepData, ValueCurves]]:
    """The usable episodes of a session with their value curves, by nets that did not train on them."""
    model, model_hash = value_model(work), value_hash(work)
    return ((episode, curves_of(model, model_hash, episode)) for episode in episodes(work, session))


def curves_of(model: ValueModel, model_hash: str, episode: StepData) -> ValueCurves:
    """What the model says of an episode. Four stages of a run ask; the last `KEPT` answers are remembered."""
    key = (model_hash, episode.episode_id)
    if key not in _JUDGED:
        if len(_JUDGED) >= KEPT:
            del _JUDGED[next(iter(_JUDGED))]
        _JUDGED[key] = model.curves(episode)
    return _JUDGED[key]


def values(work: Work) -> dict[str, Array]:
    """episode_id -> V (T,) from the curves beside the episodes."""
    return by_episode(pl.concat([curves(work, "values/curves", session) for session in work.sessions]), "value")


def curves(work: Work, key: str, session: str) -> pl.DataFrame:
    """The curves of a session, one row a step."""
    (path,) = work.upstream(key, session).glob("*.parquet")
    return pl.read_parquet(path)


def by_episode(frames: pl.DataFrame, column: str) -> dict[str, Array]:
    """episode_id -> (T,) one column of a table with a row for every step."""
    grouped = frames.group_by(["episode_id"], maintain_order=True)
    return {str(episode_id): rows[column].to_numpy() for (episode_id,), rows in grouped}


def decided(work: Work, split: pl.DataFrame) -> list[StepData]:
    """The usable episodes of the stage's collection, with what was decided about them."""
    from models.dataset import load_decided

    rows = table(work, "episodes/decided").filter(pl.col("collection") == work.stage.collection)
    return load_decided(work.store, rows, split)
