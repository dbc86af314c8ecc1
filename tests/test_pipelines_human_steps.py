"""Whether Regrasp saves human steps is said in words, whichever way it went, and with what happened."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.arm_episodes import ArmEpisode
from pipelines.human_steps import difference, verdict
from pipelines.simulated import Arm

STEPS = 60


def episode(human: int, recoveries: int = 0, recovered: int = 0, reasons: tuple[str, ...] = ()) -> ArmEpisode:
    return ArmEpisode(
        source=np.array([2] * human + [0] * (STEPS - human), np.uint8),
        success=True,
        end="success",
        failure="",
        recoveries=recoveries,
        recovered=recovered,
        takeovers=len(reasons),
        reasons=reasons,
    )


def arms(without: list[int], random: list[int], with_: list[int]) -> dict[Arm, list[ArmEpisode]]:
    return {
        "without": [episode(n, reasons=("stall",)) for n in without],
        "random": [episode(n, reasons=("stall", "asked")) for n in random],
        "with": [episode(n, 2, 1, ("asked",)) for n in with_],
    }


LOW, HIGH = [1, 2, 3, 4, 5, 6], [21, 22, 24, 23, 25, 26]


def test_fewer_is_said_where_the_whole_interval_says_so() -> None:
    said = verdict(arms(HIGH, HIGH, LOW))
    assert said.count("fewer than (-20 [-20.5, -19.5] n 6)") == 2
    assert "NOT" not in said
    assert "MORE" not in said


def test_more_is_said_too_and_each_arm_has_its_own_word() -> None:
    said = verdict(arms(LOW, HIGH, HIGH))
    assert "MORE than (+20 [+19.5, +20.5] n 6) without Regrasp" in said
    assert "NOT shown to be fewer than (+0 [+0, +0] n 6) with the random trigger" in said


def test_a_saving_that_chance_explains_is_none() -> None:
    paired = difference(arms([5, 40, 3, 20], LOW[:4], [9, 20, 6, 20]), "without")
    assert paired.value < 0 < paired.hi
    assert "NOT shown to be fewer than (-3.25" in verdict(arms([5, 40, 3, 20], LOW[:4], [9, 20, 6, 20]))


def test_the_reasons_are_counted() -> None:
    said = verdict(arms(HIGH, HIGH, LOW))
    assert "12 recoveries, 6 of which reached a better value" in said
    assert "the robot asked: 6 (0 without, 6 at random)" in said
    assert "in a stall: 0 (6 without, 6 at random)" in said


def test_arms_without_episodes_are_not_compared() -> None:
    assert "no episodes to compare" in verdict(arms([], [], []))
    assert difference(arms([], [], []), "random").json()["value"] is None


def test_arms_of_different_seeds_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="zip"):
        difference(arms(LOW, LOW, LOW[:3]), "without")


@given(st.lists(st.tuples(st.integers(0, STEPS), st.integers(0, STEPS)), min_size=1, max_size=15))
def test_the_difference_is_that_of_the_means_and_turns_its_sign(pairs: list[tuple[int, int]]) -> None:
    mine, theirs = [m for m, _ in pairs], [t for _, t in pairs]
    there, back = difference(arms(theirs, [], mine), "without"), difference(arms(mine, [], theirs), "without")
    assert there.value == pytest.approx(np.mean(mine) - np.mean(theirs))
    assert there.value == pytest.approx(-back.value)
    assert (there.lo, there.hi) == pytest.approx((-back.hi, -back.lo))
