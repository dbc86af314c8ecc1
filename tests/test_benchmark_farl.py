"""The failure-aware baseline: what it predicts, when its recovery policy acts, and that a killed run ends the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from benchmark_runs import Killed, killed_after, same
from model_samples import HUMAN, NAMES, POLICY, RECOVERY, step_data

from episodes.errors import DataRefused, IntegrityError, UsageError
from episodes.record import ActionSource, Array
from episodes.store import EpisodeStore
from models.actor_critic import ActorCriticConfig
from models.failure import FailureConfig, FailurePredictor, fit_failure, outcomes_ahead
from models.policy import PolicyConfig, fit_policy
from robot_io.benchmark.farl import FarlConfig, Foresight, HilSerlFarl, StepByStep
from robot_io.benchmark.hil_serl import HilSerlConfig
from robot_io.benchmark.method import Schedule
from robot_io.benchmark.record import RunRecord
from robot_io.benchmark.rounds import Rounds
from robot_io.benchmark.run import METHODS, Plan, run
from robot_io.benchmark.smoke import missing
from robot_io.control import Control, RecoveryLimits
from robot_io.protocols import HumanInput, Observation

NETS = ActorCriticConfig(hidden=16, critics=2, clone_steps=60, clone_batch=32)
CONFIG = FarlConfig(
    learner=HilSerlConfig(nets=NETS, updates=1, batch=16, pretraining=5),
    failure=FailureConfig(hidden=16, steps=60, batch=64),
    recovery=PolicyConfig(hidden=16, steps=60),
    threshold=0.4,
    rounds=Rounds(first=200, longest=120),
)
SHORT = Schedule(
    steps=400,
    warm_up=200,
    demonstrations=3,
    evaluate_every=500,
    evaluation_episodes=1,
    test_episodes=1,
    checkpoint_every=50,
)


# --- what lies ahead -------------------------------------------------------------------------------------------------


def driven(*stretches: tuple[int, int], success: bool | None = True) -> Array:
    """What lies within 0.3 s of each step of an episode of these (source, steps), as text: 1, 0 or ?."""
    source = np.repeat(*np.array(stretches).T).astype(np.uint8)
    episode = step_data(0)
    longer = {
        name: np.resize(getattr(episode, name), (len(source), *getattr(episode, name).shape[1:]))
        for name in ("proprio", "executed_action")
    }
    made = step_data(0, source=source, time_s=np.arange(len(source)) / 10, success=success, **longer)
    ahead = outcomes_ahead(made, 0.3)
    return "".join("?" if np.isnan(y) else str(int(y)) for y in ahead)  # type: ignore[return-value]


def test_the_steps_before_a_takeover_or_a_failed_end_lead_to_a_failure() -> None:
    assert driven((POLICY, 6)) == "000000"
    assert driven((POLICY, 6), success=False) == "000111"
    assert driven((POLICY, 6), (HUMAN, 3), (POLICY, 5)) == "00011100000000"
    assert driven((POLICY, 2), (HUMAN, 2), (POLICY, 2), success=False) == "110111"


def test_what_a_recovery_cut_short_is_not_known_and_neither_is_an_unknown_end() -> None:
    assert driven((POLICY, 5), (RECOVERY, 4), (POLICY, 4)) == "00???00000000"
    assert driven((POLICY, 5), (RECOVERY, 4), (HUMAN, 2)) == "00???011100"
    assert driven((HUMAN, 2), (POLICY, 5), success=None) == "0000???"


# --- the predictor ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def predictor() -> FailurePredictor:
    takeovers = [step_data(n, collection="takeover") for n in range(12)]
    successes = [step_data(n) for n in range(20, 26)]
    return fit_failure([*takeovers, *successes], FailureConfig(horizon_s=1.0, steps=300, hidden=32))


def test_it_tells_a_robot_that_stands_from_one_that_moves_on(predictor: FailurePredictor) -> None:
    stuck, well = step_data(90, success=False), step_data(91)
    standing, moving = (predictor.probability(e.proprio, e.executed_action) for e in (stuck, well))
    assert np.median(standing[-10:]) > 0.6
    assert np.median(moving) < 0.2


def test_only_what_the_policy_did_is_learned_from() -> None:
    takeovers = [step_data(n, collection="takeover") for n in range(6)]
    config = FailureConfig(horizon_s=1.0, steps=5)
    one, other = fit_failure(takeovers, config), fit_failure([step_data(50, collection="demo"), *takeovers], config)
    seen = takeovers[0]
    np.testing.assert_array_equal(*(p.probability(seen.proprio, seen.executed_action) for p in (one, other)))


def test_it_is_read_back_as_it_was_and_not_when_it_was_changed(predictor: FailurePredictor, tmp_path: Path) -> None:
    digest = predictor.save(tmp_path)
    read, seen = FailurePredictor.load(tmp_path), step_data(90)
    assert read.save(tmp_path / "again") == digest
    before = predictor.probability(seen.proprio, seen.executed_action)
    np.testing.assert_array_equal(read.probability(seen.proprio, seen.executed_action), before)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError):
        FailurePredictor.load(tmp_path)


def test_without_a_failure_or_without_anything_else_there_is_nothing_to_tell_apart() -> None:
    for episodes in ([], [step_data(1)], [step_data(1, success=False)]):
        with pytest.raises(DataRefused, match="lead to a takeover"):
            fit_failure(episodes, FailureConfig(horizon_s=60.0))


# --- who acts --------------------------------------------------------------------------------------------------------


class Drives:
    """A policy that goes on as fast as it goes, as those of the samples do."""

    policy_id = "p"

    def reset(self) -> None:
        """Nothing to forget."""

    def act(self, observation: Observation) -> Array:
        return np.array([1.0, -1.0]) * observation.proprio[NAMES.index("speed")]


def seen_at(t: int, proprio: Array) -> Observation:
    zero = np.zeros(7)
    return Observation(time_s=t / 10, ee_pose=zero, proprio=proprio, wrench=np.zeros(6), images={})


def test_the_recovery_policy_acts_from_the_alarm_until_the_predictor_is_calm(predictor: FailurePredictor) -> None:
    recovery = StepByStep(fit_policy([step_data(n, collection="takeover") for n in range(3)], PolicyConfig(steps=5)))
    control = Control(
        policy=Drives(),
        teleop=None,
        monitor=Foresight(predictor, Drives(), 0.5),
        recovery=recovery,
        limits=RecoveryLimits(),
        hold_action=lambda: np.zeros(2),
        emit=lambda kind, **detail: None,
    )
    control.reset()
    calm, alarming = np.array([0.8, 0.8, 0.4, 0.0], np.float32), np.array([0.4, 0.4, 0.0, 0.0], np.float32)
    source, acted = ActionSource.UNKNOWN, []
    for t, proprio in enumerate([calm, alarming, alarming, alarming, calm, calm]):
        source = control.choose(seen_at(t, proprio), HumanInput(), source).source
        acted.append(int(source))
    assert acted == [POLICY, RECOVERY, RECOVERY, RECOVERY, POLICY, POLICY]


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        FarlConfig(threshold=1.0)


# --- a run -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "hil_serl_farl", partial(HilSerlFarl, config=CONFIG))  # type: ignore[arg-type]
        yield


PLAN = Plan(task="tube_insertion", method="hil_serl_farl", seed=101, schedule=SHORT)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("farl")


@pytest.fixture(scope="module")
def whole(root: Path) -> RunRecord:
    return run(PLAN, root)


def test_its_own_code_runs_after_its_first_round_alone(whole: RunRecord, root: Path) -> None:
    assert missing(whole) == ""
    rounds = whole.made["rounds"]
    assert [told["freeze"] for told in rounds] == [f"tube_insertion-hil_serl_farl-101-{k}" for k in range(len(rounds))]
    first = rounds[0]["from_step"]
    assert sum(row.triggers for row in whole.training if row.first_step < first) == 0
    before = [row for row in whole.training if row.first_step < first]
    assert rounds[0]["episodes"] == len(before)
    assert rounds[0]["recovery_demonstration_steps"] == sum(row.human_steps for row in before)
    sources = np.concatenate([EpisodeStore(root).read(row.episode_id).action_source for row in whole.training])
    assert (sources == ActionSource.RECOVERY).sum() == sum(row.recovery_steps for row in whole.training) > 0


def test_a_killed_run_goes_on_to_the_identical_result(whole: RunRecord, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(PLAN, tmp_path, killed_after(len(whole.training) - 1))
    assert same(run(PLAN, tmp_path), whole)
