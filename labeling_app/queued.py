"""What waits for a person in a task: every outcome, label, unlabeled stall and pair, and what speaks for a look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from audits.state import AuditState
from episodes.errors import RegraspError
from episodes.record import ActionSource
from labeling_app import signals
from labeling_app.data import Library
from labeling_app.labels import labels_of
from labeling_app.signals import Candidate


def candidates(library: Library, task: str, table: pl.DataFrame, state: AuditState) -> list[Candidate]:
    """All candidates of the task, decided or not; `table` are its episodes with what was decided about them.

    What cannot be read is left out: the page Overview counts it.
    """
    table = table.filter(~pl.col("damaged"))
    ids = table["episode_id"].to_list()
    curves = signals.by_episode(library.curves(task), signals.CURVE_COLUMNS)
    rules = signals.by_episode(library.label_terms(task), signals.RULES)
    told = library.labels(task)
    labels = labels_of(told, state.labels, ids)
    mined = [label for label in labels if label.origin == "mined"]
    alone = library.driven_by_nobody(task)
    taken, fps = takeovers(library, [each for each in ids if each not in alone]), _rate(table)
    known = {episode_id: curves[episode_id] for episode_id in ids if episode_id in curves}
    return [
        *signals.outcomes(table, known),
        *signals.labels(mined, known, rules, taken, fps),
        *(signals.missed(labels, known, taken, state.progress, fps) if told is not None else ()),
        *signals.pairs(library.pairs(task)),
    ]


def decided(state: AuditState) -> set[str]:
    """The items that a person decided about."""
    told = {episode_id for episode_id, said in state.episodes.items() if "success" in said or "excluded" in said}
    return told | {item for item, said in state.labels.items() if said.get("verdict")} | set(state.pairs)


def takeovers(library: Library, ids: Sequence[str]) -> dict[str, list[int]]:
    """Episode -> the steps at which a person took over from policy or recovery."""
    return {episode_id: found for episode_id in ids if (found := _taken(library, episode_id))}


def _taken(library: Library, episode_id: str) -> list[int]:
    try:
        source = library.store.rows(episode_id, "action_source", 0, library.length(episode_id))
    except RegraspError:  # a damaged file says nothing; the page Episodes says what is wrong with it
        return []
    human = source == ActionSource.HUMAN
    before = np.isin(source, (ActionSource.POLICY, ActionSource.RECOVERY))
    return [int(at) + 1 for at in np.flatnonzero(human[1:] & before[:-1])]


def _rate(table: pl.DataFrame) -> float:
    """Steps by the second, the median; 0 where no episode has two steps, and a stall is nowhere."""
    lasted = table.filter(pl.col("length") > 1)
    rate = ((lasted["length"] - 1) / lasted["duration_s"]).median()
    return float(rate) if isinstance(rate, float) else 0.0
