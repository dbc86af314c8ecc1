"""The guard chain: what it returns is finite, inside the limits, and holds where it must."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from robot_fakes import NAMES, fake_observation, fake_spec

from episodes.errors import UsageError
from episodes.record import ActionSource
from robot_io.safety import CHAIN, ForceLimits, Guard, action_limits, finite_and_shaped, hard_force, inside_limits

POLICY, HUMAN = ActionSource.POLICY, ActionSource.HUMAN


@given(st.lists(st.floats(width=32), min_size=7, max_size=7), st.sampled_from(list(ActionSource)))
def test_whatever_is_asked_what_is_sent_is_finite_and_inside_the_limits(action: list[float], source: Any) -> None:
    verdict = Guard(fake_spec())(np.array(action), fake_observation(0), source)
    assert verdict.action.shape == (7,)
    assert (np.abs(verdict.action) <= 1.0).all()
    assert verdict.hold == (not np.isfinite(action).all())
    assert bool(verdict.reasons) == (not np.array_equal(verdict.action, action))


@pytest.mark.parametrize("action", [np.zeros(6), np.zeros((1, 7)), np.zeros(0), np.array(["x"] * 7), np.array(None)])
def test_an_action_of_another_shape_or_kind_is_held(action: Any) -> None:
    verdict = Guard(fake_spec())(action, fake_observation(0), POLICY)
    assert verdict.hold
    assert not verdict.stop
    assert np.array_equal(verdict.action, np.zeros(7))


def test_a_hold_keeps_the_gripper_as_it_was() -> None:
    guard = Guard(fake_spec())
    guard.sent(np.array([0.5] * 6 + [-1.0]))
    assert np.array_equal(guard(np.full(7, np.nan), fake_observation(1), POLICY).action, [0, 0, 0, 0, 0, 0, -1])
    guard.reset()
    assert np.array_equal(guard.hold_action, np.zeros(7))


def test_a_hold_before_the_first_action_leaves_the_gripper_as_the_reset_left_it() -> None:
    spec = fake_spec()
    guard = Guard(replace(spec, action_space={**spec.action_space, "gripper_at_reset": 1.0}))
    guard.reset()
    assert np.array_equal(guard.hold_action, [0, 0, 0, 0, 0, 0, 1])


def push(guard: Guard, forces_n: list[float], source: ActionSource = POLICY) -> list[bool]:
    return [guard(np.zeros(7), fake_observation(t, force_n=f), source).hold for t, f in enumerate(forces_n)]


def test_soft_limit_holds_after_half_a_second_and_lets_go_below() -> None:
    held = push(Guard(fake_spec()), [61.0] * 8 + [59.0] + [61.0] * 3)
    assert held == [False] * 5 + [True] * 3 + [False] * 4


def test_at_the_limit_is_not_above_it() -> None:
    assert not any(push(Guard(fake_spec()), [60.0] * 12))
    assert not Guard(fake_spec())(np.zeros(7), fake_observation(0, force_n=100.0), POLICY).stop


def test_the_person_may_act_above_the_soft_limit_and_nobody_above_the_hard_one() -> None:
    guard = Guard(fake_spec())
    assert not any(push(guard, [90.0] * 12, HUMAN))
    verdict = guard(np.zeros(7), fake_observation(12, force_n=100.5), HUMAN)
    assert verdict.stop
    assert verdict.reasons == ("force 100 N above 100 N",)


def test_a_dead_force_sensor_holds_all_but_the_person() -> None:
    assert push(Guard(fake_spec()), [float("nan")]) == [True]
    assert push(Guard(fake_spec()), [float("nan")], HUMAN) == [False]


def test_the_hard_limit_is_seen_behind_a_rejected_action() -> None:
    verdict = Guard(fake_spec())(np.full(7, np.nan), fake_observation(0, force_n=200.0), POLICY)
    assert verdict.stop
    assert len(verdict.reasons) == 2


def test_the_order_of_the_chain() -> None:
    assert CHAIN[0] is finite_and_shaped
    assert CHAIN[1] is inside_limits
    assert CHAIN[-1] is hard_force


def test_limits_for_all_or_one_by_one() -> None:
    one_by_one = [[-1.0, 1.0]] * 6 + [[0.0, 1.0]]
    spec = fake_spec(action_space={"names": list(NAMES), "limits": one_by_one})
    assert np.array_equal(action_limits(spec), one_by_one)
    assert np.array_equal(action_limits(fake_spec()), [[-1.0, 1.0]] * 7)


@pytest.mark.parametrize(
    "space",
    [{}, {"names": ["x"], "limits": [1.0, -1.0]}, {"names": ["x"], "limits": [[-1, 1], [-1, 1]]}, {"names": ["x"]}],
)
def test_a_robot_without_usable_limits_does_not_move(space: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="limits"):
        Guard(fake_spec(action_space=space))


@pytest.mark.parametrize("wrong", [{"soft_n": 0.0}, {"soft_n": 120.0}, {"soft_s": -1.0}])
def test_force_limits_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        ForceLimits(**wrong)
