"""The control's budget: as many recoveries as the real trigger, up to one, at steps drawn uniformly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from robot_fakes import FakeMonitor, FakePolicy, FakeRecorder, FakeRecovery, FakeRobot, FakeTeleop, fake_observation

from episodes.record import ActionSource, Array
from robot_io.loop import EpisodeSummary, run_episode
from robot_io.random_trigger import BudgetedRecovery, RandomMonitor, RecoveryBudget

CHUNK = np.full((3, 7), 0.3)


def fresh(rate: float, seed: int = 1) -> RecoveryBudget:
    budget = RecoveryBudget(rate=rate, seed=seed)
    budget.go_on(0, 0)
    return budget


def triggers(budget: RecoveryBudget, steps: int, found: bool = True) -> list[bool]:
    """Whether a recovery was due at each of so many steps; each leads to one where the memory knows something."""
    told = []
    for _ in range(steps):
        told.append(budget.step())
        if told[-1]:
            budget.planned(found)
    return told


@given(st.floats(0.001, 1.0), st.integers(0, 99), st.integers(1, 400))
def test_after_any_number_of_steps_the_budget_is_met_up_to_one(rate: float, seed: int, steps: int) -> None:
    spent = np.cumsum(triggers(fresh(rate, seed), steps))
    wanted = rate * np.arange(1, steps + 1)
    assert (np.abs(spent - wanted) < 1 + 1e-9).all()


def test_without_a_budget_nothing_is_due_and_with_a_full_one_every_step_is() -> None:
    assert not any(triggers(fresh(0.0), 50))
    assert all(triggers(fresh(1.0), 50))


def test_each_block_has_one_and_it_may_fall_anywhere_in_it() -> None:
    told = np.array([triggers(fresh(0.05, seed), 200) for seed in range(200)]).reshape(200, 10, 20)
    assert (told.sum(axis=2) == 1).all()
    share = told.mean(axis=(0, 1))
    assert abs(share - 0.05).max() < 5 * math.sqrt(0.05 * 0.95 / 2000)
    assert not np.array_equal(told[0], told[1])


@given(st.integers(0, 99), st.integers(1, 60), st.integers(1, 60))
def test_what_found_nothing_is_not_spent_and_comes_again(seed: int, unknown: int, rest: int) -> None:
    budget = fresh(0.1, seed)
    triggers(budget, unknown, found=False)
    spent = sum(triggers(budget, rest))
    assert math.floor(0.1 * (unknown + rest)) - (unknown // 10) - 1 <= spent <= 0.1 * (unknown + rest) + 1
    late = triggers(budget, 40)
    assert abs(spent + sum(late) - 0.1 * (unknown + rest + 40)) < 1 + 1e-9, "what was missed is made up for"


def test_later_chunks_of_one_recovery_cost_nothing() -> None:
    budget = fresh(1.0)
    assert budget.step()
    for found in (True, True, False):
        budget.planned(found)
    assert budget.step()
    budget.planned(False)
    assert budget.step()


def test_only_steps_of_the_policy_count() -> None:
    budget = fresh(1.0)
    monitor = RandomMonitor(FakeMonitor(), budget)
    for source in (ActionSource.HUMAN, ActionSource.RECOVERY, ActionSource.HOLD):
        assert not monitor.update(fake_observation(0), None, source).trigger
    assert monitor.update(fake_observation(0), np.zeros(7), ActionSource.POLICY).trigger


def run(budget: RecoveryBudget, seed: int, knows: list[Array | None]) -> tuple[EpisodeSummary, list[int]]:
    """One episode through the real loop, of a length that depends on the seed."""
    recorder = FakeRecorder()
    recovery = FakeRecovery(chunks=knows)
    summary = run_episode(
        FakeRobot(),
        FakePolicy(),
        recorder,
        max_steps=20 + seed % 7,
        collection="takeover",
        teleop=FakeTeleop(drives=range(9, 12)),
        monitor=RandomMonitor(FakeMonitor(), budget),
        recovery=BudgetedRecovery(recovery, budget),
        seed=seed,
    )
    return summary, [int(source) for source in recorder.sources]


def session(seeds: range, steps: int, recoveries: int, knows: list[Array | None]) -> list[tuple[int, int, list[int]]]:
    """(steps of the policy, recoveries, sources) of the episodes, as a process that starts here records them."""
    budget, made = RecoveryBudget(rate=0.06, seed=1), []
    for seed in seeds:
        budget.go_on(steps, recoveries)
        summary, sources = run(budget, seed, knows)
        steps += summary.source_steps.get(ActionSource.POLICY, 0) + summary.recoveries
        recoveries += summary.recoveries
        made.append((steps, recoveries, sources))
    return made


@pytest.mark.parametrize("knows", [[CHUNK], [None, CHUNK], [CHUNK, None]])
def test_a_session_interrupted_between_seeds_ends_as_one_that_was_not(knows: list[Array | None]) -> None:
    whole = session(range(30), 0, 0, knows)
    for stop in (1, 11, 29):
        steps, recoveries, _ = whole[stop - 1]
        assert whole[:stop] + session(range(stop, 30), steps, recoveries, knows) == whole
    steps, recoveries, _ = whole[-1]
    assert abs(recoveries - 0.06 * steps) <= 1
