"""Image mode: a method sees latents of camera frames and never the object tracker; a killed run ends the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from benchmark_runs import Killed, killed_after, same

from episodes.errors import MissingExtra
from episodes.store import EpisodeStore
from models.actor_critic import ActorCriticConfig
from models.checkpoint import model_hash
from models.dataset import PRIVILEGED_PREFIX, load_step_data
from models.intervention import InterventionConfig
from models.recall import MemoryConfig
from models.recovery import RecoveryConfig
from models.seeing import FrameEncoder, SeeingConfig
from models.trigger import TriggerConfig
from models.value import ValueConfig, ValueModel
from robot_io.benchmark import images
from robot_io.benchmark.hil_serl import HilSerlConfig
from robot_io.benchmark.images import ENCODER, SeeingRobot, robot_with_cameras, seen_through
from robot_io.benchmark.method import Schedule
from robot_io.benchmark.record import RunRecord
from robot_io.benchmark.refit import RefitConfig
from robot_io.benchmark.regrasp import HilSerlRegrasp, RegraspConfig
from robot_io.benchmark.run import DEMONSTRATIONS, METHODS, TRAINING, Plan, run
from robot_io.sim import render

SEEING = SeeingConfig(image_px=16, steps=5, batch=8, hidden=16, shift_px=1)
CONFIG = RegraspConfig(
    learner=HilSerlConfig(
        nets=ActorCriticConfig(hidden=16, critics=2, clone_steps=60, clone_batch=32), updates=1, batch=16, pretraining=5
    ),
    refit=RefitConfig(
        value=ValueConfig(cameras=(), folds=2, steps=60, workers=1),
        intervention=InterventionConfig(steps=20, batch=32),
        trigger=TriggerConfig(alpha=0.4, early_alpha=0.8, learning=True),
        memory=MemoryConfig(human_only=True, span_s=4.0, floor_quantile=None),
        recovery=RecoveryConfig(hidden=16, steps=40),
    ),
)
SHORT = Schedule(
    steps=330,
    warm_up=260,
    demonstrations=5,
    evaluate_every=500,
    evaluation_episodes=1,
    test_episodes=1,
    checkpoint_every=50,
)
PLAN = Plan(task="tube_insertion", method="hil_serl_regrasp", seed=0, schedule=SHORT, images=True)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "SEEING", SEEING)
        patch.setitem(METHODS, PLAN.method, partial(HilSerlRegrasp, config=CONFIG))
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seeing")


@pytest.fixture(scope="module")
def whole(root: Path) -> RunRecord:
    return run(PLAN, root)


def test_what_is_learned_from_has_latents_and_no_tracker(whole: RunRecord, root: Path) -> None:
    """Of the learner's episodes, so also of the models of the rounds; no frame of them is kept."""
    store, encoder = EpisodeStore(root), FrameEncoder.load(root / ENCODER)
    for row in whole.training:
        episode = store.read(row.episode_id)
        assert not [name for name in episode.proprio_names if name.startswith(PRIVILEGED_PREFIX)]
        assert episode.proprio_names[-len(encoder.names) :] == encoder.names
        assert not episode.images
    assert store.ids(session=TRAINING)
    assert "value" in whole.made["rounds"][0]
    read = ValueModel.load(root / "derived" / "rounds" / "0" / "value").proprio_names
    assert read == store.read(whole.training[0].episode_id).proprio_names


def test_a_demonstration_keeps_its_frames_and_the_record_says_which_encoder(whole: RunRecord, root: Path) -> None:
    store = EpisodeStore(root)
    assert {tuple(store.read(name).images) for name in store.ids(session=DEMONSTRATIONS)} == {("third", "wrist")}
    assert whole.config["images"]["encoder"] == model_hash(root / ENCODER)
    assert whole.config["images"]["cameras"] == ["third", "wrist"]


def test_a_killed_run_goes_on_to_the_identical_result(whole: RunRecord, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(PLAN, tmp_path, killed_after(len(whole.training) - 1))
    assert same(run(PLAN, tmp_path), whole)


def test_a_recorded_episode_is_seen_as_the_robot_saw_it(whole: RunRecord, root: Path) -> None:
    """Proprio to the bit; the latents to what JPEG takes, small beside how they differ from step to step."""
    store, encoder = EpisodeStore(root), FrameEncoder.load(root / ENCODER)
    name = store.ids(session=DEMONSTRATIONS)[0]
    episode = load_step_data(store, name, success=True, split="train")
    robot = robot_with_cameras(PLAN.task)
    seen, live = SeeingRobot(robot, encoder), []
    live.append(seen.reset(int(store.attributes(name)["collected_by"]["seed"])).proprio)
    for action in episode.executed_action[:-1]:
        seen.send(action)
        live.append(seen.observe().proprio)
    robot.close()
    recorded = seen_through(encoder, episode)
    assert recorded.proprio_names == seen.spec.proprio_names
    kept = len(seen.spec.proprio_names) - len(encoder.names)
    assert np.array_equal(recorded.proprio[:, :kept], np.stack(live)[:, :kept])
    error = recorded.proprio[:, kept:] - np.stack(live)[:, kept:]
    assert error.std() < 0.3 * recorded.proprio[:, kept:].std(axis=0).mean()


def test_without_opengl_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "LIBRARIES", {"egl": "libNoEGL.so.1", "osmesa": "libNoOSMesa.so.8"})
    with pytest.raises(MissingExtra, match="apt-get install"):
        run(PLAN, tmp_path / "run")
    assert not (tmp_path / "run").exists()
