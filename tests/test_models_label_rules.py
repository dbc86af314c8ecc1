"""Labels by a published rule, and every rule against the people who took over."""

from __future__ import annotations

import json

import numpy as np
import pytest
from model_samples import HUMAN, step_data

from episodes.errors import UsageError
from episodes.record import Array
from models.announcement import announced
from models.dataset import StepData
from models.label_rules import LabelConfig
from models.labelling import mine_task
from models.mining import mine_three_rules

TAKEN = step_data(24, collection="takeover")
TAKEOVER = int(np.flatnonzero(TAKEN.source == HUMAN)[0])


def flags(episode: StepData, *ranges: tuple[int, int]) -> Array:
    marked = np.zeros(len(episode), bool)
    for start, stop in ranges:
        marked[start:stop] = True
    return marked


@pytest.mark.parametrize("rule", ["three_rules", "seed_rule"])
def test_a_published_rule_labels_what_it_marks_while_the_robot_drives(rule: str) -> None:
    train = [step_data(n) for n in range(6)]
    values = {e.episode_id: np.linspace(0, 1, len(e)) for e in train}
    values[TAKEN.episode_id] = np.concatenate([np.linspace(0.5, 0.45, TAKEOVER), np.full(len(TAKEN) - TAKEOVER, 0.45)])
    found = mine_task([*train, TAKEN], values, rule=rule)
    labels = [row for row in found.labels.iter_rows(named=True) if row["episode_id"] == TAKEN.episode_id]
    assert labels
    assert max(row["stop"] for row in labels) <= TAKEOVER
    if rule == "three_rules":
        marked = mine_three_rules(values[TAKEN.episode_id]).label[:TAKEOVER]
        assert sum(row["stop"] - row["start"] for row in labels) == marked.sum()
        assert {"decline", "plateau", "abrupt_drop", "gain"} <= set(json.loads(labels[0]["terms"]))


def test_a_label_announces_a_takeover_if_it_starts_before_the_person_decides() -> None:
    early, late = flags(TAKEN, (TAKEOVER - 6, TAKEOVER)), flags(TAKEN, (TAKEOVER - 1, TAKEOVER))
    told = announced({TAKEN.episode_id: early}, [TAKEN], 0.2)
    assert told.told() == {"takeovers": 1, "missed": 0, "lead_s": 0.4, "in_vain_per_minute": None}
    assert announced({TAKEN.episode_id: late}, [TAKEN], 0.2).missed == 1
    assert announced({TAKEN.episode_id: late}, [TAKEN], 0.0).missed == 0


def test_a_label_that_nothing_follows_was_in_vain_and_one_before_a_failure_was_not() -> None:
    good, bad = step_data(6), step_data(7, success=False)
    marked = {e.episode_id: flags(e, (3, 6), (9, 12)) for e in (good, bad)}
    found = announced(marked, [good, bad, step_data(8)], 0.5)
    assert (found.in_vain, found.takeovers) == (2, 0)
    assert found.calm_s == pytest.approx(len(good) / 10)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UsageError, match="three_rules"):
        LabelConfig(rule="four_rules")
