"""A run of the benchmark on the simulated robot: what it records, and that a killed one ends as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from benchmark_runs import Killed, killed_after, same

from episodes.errors import DataRefused, IntegrityError, UsageError
from episodes.record import ActionSource
from episodes.store import EpisodeStore
from models.actor_critic import ActorCriticConfig
from robot_io.benchmark.bc import BehaviourCloning
from robot_io.benchmark.hg_dagger import HgDagger, HgDaggerConfig
from robot_io.benchmark.hil_serl import HilSerl, HilSerlConfig
from robot_io.benchmark.method import Schedule
from robot_io.benchmark.progress import CHECKPOINT
from robot_io.benchmark.record import RunRecord, read_run
from robot_io.benchmark.run import DEMONSTRATIONS, METHODS, TRAINING, Plan, run
from robot_io.benchmark.sweep import Setting
from robot_io.benchmark.table import read_crashes, read_runs
from robot_io.protocols import Step
from robot_io.recorder import SessionRecorder
from robot_io.sim import make_robot

NETS = ActorCriticConfig(hidden=16, critics=3, clone_steps=60, clone_batch=32)
LEARNER = HilSerlConfig(nets=NETS, updates=2, batch=16, pretraining=5)
SHORT = Schedule(
    steps=400,
    warm_up=150,
    demonstrations=2,
    evaluate_every=200,
    evaluation_episodes=1,
    test_episodes=2,
    checkpoint_every=100,
)


@pytest.fixture(scope="module", autouse=True)
def small_learner() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "hil_serl", partial(HilSerl, config=LEARNER))
        patch.setitem(METHODS, "hg_dagger", partial(HgDagger, config=HgDaggerConfig(nets=NETS, refit_every=100)))
        patch.setitem(METHODS, "bc", partial(BehaviourCloning, settings=NETS))
        yield


def plan(**changes: object) -> Plan:
    return Plan(**({"task": "tube_insertion", "method": "hil_serl", "seed": 0, "schedule": SHORT} | changes))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def whole(root: Path) -> RunRecord:
    return run(plan(), root)


def test_every_episode_of_training_is_noted_and_kept(whole: RunRecord, root: Path) -> None:
    store = EpisodeStore(root)
    assert sorted(store.ids(session=TRAINING)) == sorted(row.episode_id for row in whole.training)
    for row in whole.training:
        recorded = store.read(row.episode_id)
        assert len(recorded.action_source) == row.steps
        assert int((recorded.action_source == ActionSource.HUMAN).sum()) == row.human_steps
        assert row.policy_steps + row.human_steps + row.recovery_steps + row.hold_steps == row.steps
        reasons = tuple(event["reason"] for event in recorded.events if event["kind"] == "takeover")
        assert row.reasons == reasons
        assert row.success == (recorded.success.value == "success")
        assert bool(row.failure_mode) != row.success
    firsts = [row.first_step for row in whole.training]
    assert firsts == list(np.cumsum([0] + [row.steps for row in whole.training[:-1]]))
    last = whole.training[-1]
    assert last.first_step < SHORT.steps <= last.first_step + last.steps


def test_it_is_judged_at_the_start_on_the_way_and_at_the_end_on_other_seeds(whole: RunRecord) -> None:
    on_the_way = [trial.step for trial in whole.trials if not trial.test]
    assert [step // SHORT.evaluate_every for step in on_the_way] == [0, 1, 2]
    assert {trial.reset_seed for trial in whole.trials if not trial.test} == {SHORT.evaluation_seed}
    assert [trial.reset_seed for trial in whole.trials if trial.test] == [SHORT.test_seed, SHORT.test_seed + 1]


def test_the_record_says_how_it_was_made_and_is_read_back(whole: RunRecord, root: Path) -> None:
    read = read_run(root)
    assert read is not None
    assert same(read, whole)
    assert read.versions["mujoco"]
    assert set(read.config) == {"schedule", "method", "demonstrated_steps"}
    assert read.config["schedule"]["steps"] == SHORT.steps
    assert read.config["method"]["updates"] == LEARNER.updates
    assert not (root / CHECKPOINT).exists()
    demonstrated = [EpisodeStore(root).attributes(name)["length"] for name in EpisodeStore(root).ids(DEMONSTRATIONS)]
    assert read.config["demonstrated_steps"] == sum(demonstrated)


def test_a_finished_run_is_not_run_again(whole: RunRecord, root: Path) -> None:
    assert same(run(plan(), root, killed_after(0)), whole)


def test_a_killed_run_goes_on_to_the_identical_result(whole: RunRecord, tmp_path: Path) -> None:
    """Killed twice an episode after a checkpoint, once with the next episode begun."""
    with pytest.raises(Killed):
        run(plan(), tmp_path, killed_after(2))
    assert (tmp_path / CHECKPOINT).exists()
    begin_an_episode(tmp_path)
    with pytest.raises(Killed):
        run(plan(), tmp_path, killed_after(len(whole.training)))
    assert same(run(plan(), tmp_path), whole)
    store = EpisodeStore(tmp_path)
    assert sorted(store.ids(session=TRAINING)) == sorted(row.episode_id for row in whole.training)


def begin_an_episode(root: Path) -> None:
    """Leave the journal of an episode that nobody ended."""
    robot = make_robot("tube_insertion", cameras=())
    action = robot.send(np.zeros(7))
    step = Step(
        observation=robot.observe(),
        source=ActionSource.POLICY,
        policy_action=action,
        human_action=None,
        executed_action=action,
        policy_id="killed",
    )
    with SessionRecorder(root, TRAINING) as recorder:
        recorder.start(robot.spec, {"seed": 1, "collection": "takeover"})
        recorder.step(step)


def test_another_seed_is_another_run(whole: RunRecord, tmp_path: Path) -> None:
    other = run(plan(seed=1, schedule=Schedule(**{**fields(SHORT), "steps": 160})), tmp_path)
    assert not {row.episode_id for row in other.training} & {row.episode_id for row in whole.training}
    assert {row.reset_seed for row in other.training}.isdisjoint(row.reset_seed for row in whole.training)


def test_another_person_takes_over_at_other_times_and_the_record_says_who(whole: RunRecord, tmp_path: Path) -> None:
    other = run(plan(setting=Setting("window_s", 2.0), schedule=Schedule(**{**fields(SHORT), "steps": 160})), tmp_path)
    assert other.config["person"] == {"window_s": 2.0}
    assert "person" not in whole.config
    taken = [next(row for row in rows if row.reasons) for rows in (other.training, whole.training)]
    assert taken[0].episode_id != taken[1].episode_id
    assert other.training[0].reset_seed == whole.training[0].reset_seed


def fields(schedule: Schedule) -> dict[str, int]:
    return {name: getattr(schedule, name) for name in Schedule.__dataclass_fields__}


def test_the_cloned_policy_alone_has_no_training(tmp_path: Path) -> None:
    record = run(plan(method="bc"), tmp_path)
    assert record.training == []
    assert [trial.step for trial in record.trials] == [0] * (SHORT.evaluation_episodes + SHORT.test_episodes)


def test_cloning_anew_from_rescues_goes_on_after_a_kill_too(tmp_path: Path) -> None:
    dagger = plan(method="hg_dagger", schedule=Schedule(**{**fields(SHORT), "steps": 300}))
    one = run(dagger, tmp_path / "one")
    with pytest.raises(Killed):
        run(dagger, tmp_path / "other", killed_after(2))
    assert same(run(dagger, tmp_path / "other"), one)
    assert sum(row.human_steps for row in one.training)


def test_other_settings_do_not_go_on_where_these_stopped(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(plan(), tmp_path, killed_after(2))
    with pytest.raises(DataRefused, match="other settings"):
        run(plan(schedule=Schedule(**{**fields(SHORT), "steps": 700})), tmp_path)
    damaged = bytearray((tmp_path / CHECKPOINT).read_bytes())
    damaged[2] ^= 0xFF
    (tmp_path / CHECKPOINT).write_bytes(damaged)
    with pytest.raises(IntegrityError, match="damaged"):
        run(plan(), tmp_path)


def test_a_crash_is_noted_and_forgotten_when_the_run_is_done_after_all(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(plan(method="bc"), tmp_path, killed_after(0))
    assert read_crashes(tmp_path) == [
        {"task": "tube_insertion", "method": "bc", "seed": 0, "error": "Killed: from outside"}
    ]
    with pytest.raises(DataRefused, match="no run of the benchmark is finished"):
        read_runs(tmp_path)
    done = run(plan(method="bc"), tmp_path)
    assert read_crashes(tmp_path) == []
    assert [same(found, done) for found in read_runs(tmp_path)] == [True]


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="choose among bc, hg_dagger, hil_serl"):
        plan(method="magic")
    with pytest.raises(UsageError, match="negative"):
        plan(seed=-1)
    with pytest.raises(UsageError, match="warm_up"):
        Schedule(steps=10, warm_up=20)


def test_an_unknown_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no simulated task"):
        run(plan(task="juggling"), tmp_path)
