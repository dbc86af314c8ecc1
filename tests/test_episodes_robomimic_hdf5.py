"""robomimic's processed HDF5 as robomimic, robocasa, LIBERO and Isaac Lab write it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from episode_samples import sample_episode, sample_frame
from export_samples import export, stored

from episodes.errors import EpisodeFormatError
from episodes.formats import import_dataset
from episodes.formats.exporting import Leaving, export_dataset
from episodes.formats.hdf5 import datasets
from episodes.record import ActionSource, Outcome
from episodes.store import EpisodeStore

ENVIRONMENT = {"env_name": "NutAssembly", "type": 1, "env_kwargs": {"control_freq": 25, "robots": ["Panda"]}}


def made(path: Path, change: Callable[[h5py.Group], None] = lambda demo: None) -> Path:
    """Two demonstrations of six steps as robomimic writes them; `change` is done to the second."""
    random = np.random.default_rng(0)
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(ENVIRONMENT)
        data.attrs["total"] = 12
        file["mask/train"] = np.array([b"demo_0"])
        for number in range(2):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = 6
            demo.attrs["model_file"] = "<mujoco/>"
            demo["actions"] = random.normal(size=(6, 7))
            demo["rewards"] = np.array([0, 0, 0, 0, 0, 1.0])
            demo["dones"] = np.array([0, 0, 0, 0, 0, 1])
            demo["states"] = random.normal(size=(6, 32))
            for group in ("obs", "next_obs"):
                demo[f"{group}/robot0_eef_pos"] = random.normal(size=(6, 3))
                demo[f"{group}/robot0_eef_quat"] = np.tile([0, 0, 0, 1.0], (6, 1))
                demo[f"{group}/object"] = random.normal(size=(6, 14))
                demo[f"{group}/agentview_image"] = np.stack([sample_frame(t) for t in range(6)])
        change(data["demo_1"])
    return path


def test_a_processed_file_comes_in_with_nothing_invented(tmp_path: Path) -> None:
    report = import_dataset(made(tmp_path / "image.hdf5"), tmp_path / "w")
    assert (len(report.imported), report.quarantined) == (2, ())
    store = EpisodeStore(tmp_path / "w")
    episode = store.read(report.imported[1])
    assert (episode.task, episode.robot, episode.fps) == ("nutassembly", "Panda", 25)
    assert (episode.time_derivation, episode.source_format) == ("declared rate", "robomimic_hdf5")
    assert (episode.success, set(episode.action_source)) == (Outcome.UNKNOWN, {ActionSource.UNKNOWN})
    assert episode.reward is not None
    assert episode.reward.tolist() == [0, 0, 0, 0, 0, 1]
    with h5py.File(tmp_path / "image.hdf5") as file:
        obs = file["data/demo_1/obs"]
        state = [obs[key][()] for key in ("object", "robot0_eef_pos", "robot0_eef_quat")]
        np.testing.assert_array_equal(episode.proprio, np.concatenate(state, axis=1).astype(np.float32))
        np.testing.assert_array_equal(episode.ee_pose, np.concatenate(state[1:], axis=1))
        np.testing.assert_array_equal(episode.executed_action, file["data/demo_1/actions"][()].astype(np.float32))
    assert (episode.proprio_names[0], episode.proprio_names[-1]) == ("object.0", "robot0_eef_quat.3")
    np.testing.assert_array_equal(store.frame(report.imported[1], "agentview", 4), sample_frame(4))
    assert "not kept: next_obs, states of the demonstrations" in report.warnings


def test_what_other_programs_add_is_understood(tmp_path: Path) -> None:
    def change(demo: h5py.Group) -> None:
        demo.attrs["ep_meta"] = json.dumps({"lang": "Put the nut on the peg"})
        demo.attrs["success"] = np.True_
        demo["obs/eye_in_hand_rgb"] = np.stack([sample_frame(t) for t in range(6)])
        demo["obs/gripper"] = np.arange(6.0)
        demo["obs/agentview_depth"] = np.zeros((6, 16, 24, 1), np.float32)
        demo["obs/nothing"] = np.zeros((6, 0))
        demo["is_intervention"] = np.array([0, 0, 1, 1, 0, 0])

    report = import_dataset(made(tmp_path / "x.hdf5", change), tmp_path / "w")
    episode = EpisodeStore(tmp_path / "w").read(report.imported[1])
    assert episode.instruction == "Put the nut on the peg"
    assert (episode.success, episode.success_derivation) == (Outcome.SUCCESS, "field success of the source")
    assert sorted(episode.images) == ["agentview", "eye_in_hand"]
    assert episode.proprio_names[0] == "gripper.0" or "gripper" in episode.proprio_names
    assert episode.action_source.tolist() == [0, 0, 2, 2, 0, 0]
    assert any("not kept: next_obs, obs/agentview_depth, obs/nothing, states" in told for told in report.warnings)


def _claim(demo: h5py.Group) -> None:
    del demo["obs/object"]
    demo.create_dataset("obs/object", shape=(6, 1 << 40), dtype="f8", chunks=(6, 64))


def _claim_steps(demo: h5py.Group) -> None:
    for key in ("actions", "obs/object"):
        del demo[key]
        demo.create_dataset(key, shape=(1 << 40, 7), dtype="f8", chunks=(64, 7))
    demo.attrs["num_samples"] = 1 << 40


def _claim_pixels(demo: h5py.Group) -> None:
    del demo["obs/agentview_image"]
    shape = (6, 100_000, 100_000, 3)
    demo.create_dataset("obs/agentview_image", shape=shape, dtype=np.uint8, chunks=(1, 64, 64, 3))


def replaced(key: str, value: Any) -> Callable[[h5py.Group], None]:
    def change(demo: h5py.Group) -> None:
        if key in demo:
            del demo[key]
        demo[key] = value

    return change


def described(text: Any) -> Callable[[h5py.Group], None]:
    def change(demo: h5py.Group) -> None:
        demo.attrs["ep_meta"] = text

    return change


VIEW = "obs/agentview_image"


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        (replaced("obs/object", np.zeros((5, 14))), "obs/object", "(5, 14) and the episode has 6 steps"),
        (replaced("actions", np.zeros((5, 7))), "num_samples", "5 actions for 6 samples"),
        (
            replaced("actions", h5py.SoftLink("/data/demo_0/actions")),
            "actions",
            "actions is a link or lies in another file",
        ),
        (replaced("rewards", np.zeros(7)), "rewards", "(7,) and the episode has 6 steps"),
        (replaced("obs/object", np.full((6, 14), np.nan)), "proprio", "NaN"),
        (replaced(VIEW, np.zeros((6, 3, 8, 8), np.uint8)), VIEW, "not pictures"),
        (replaced(VIEW, np.zeros((6, 0, 8, 3), np.uint8)), VIEW, "not pictures"),
        (replaced(VIEW, np.zeros((5, 8, 8, 3), np.uint8)), VIEW, "the episode has 6 steps"),
        (replaced("obs/robot0_eef_quat", np.zeros((6, 4))), "ee_pose", "quaternion_norm"),
        (replaced("intervention", [3] * 6), "", "other values than true and false"),
        (_claim, "obs/object", "claims"),
        (_claim_steps, "actions", "claims"),
        (_claim_pixels, VIEW, "100000"),
        (described(np.bytes_(b"x" * (datasets.LONGEST_TEXT + 1))), "", "larger than"),
        (described("[" * 50_000), "", "not JSON"),
        (described(np.bytes_(b'{"lang": "\xe9"}')), "", "not UTF-8"),
    ],
)
def test_a_bad_demonstration_is_quarantined(
    tmp_path: Path, change: Callable[[h5py.Group], None], key: str, says: str
) -> None:
    report = import_dataset(made(tmp_path / "x.hdf5", change), tmp_path / "w")
    (refused,) = report.quarantined
    assert (len(report.imported), refused.episode, refused.key) == (1, "x.hdf5#demo_1", key)
    assert says in str(refused)


def test_the_mapping_chooses_among_the_datasets(tmp_path: Path) -> None:
    said = {"fields": {"proprio": ["obs/robot0_eef_pos"], "executed_action": {"from": "actions", "unit": "m/s"}}}
    report = import_dataset(made(tmp_path / "x.hdf5"), tmp_path / "w", mapping=said)
    episode = EpisodeStore(tmp_path / "w").read(report.imported[0])
    assert episode.proprio is not None
    assert (episode.proprio.shape, episode.action_space["units"]) == ((6, 3), ["m/s"] * 7)
    assert any("obs/object" in told for told in report.warnings)


def test_a_file_that_changes_between_its_episodes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "x.hdf5")
    taken = EpisodeStore.write

    def write(store: EpisodeStore, episode: Any) -> str:
        path.write_bytes(path.read_bytes() + b"more")
        return taken(store, episode)

    monkeypatch.setattr(EpisodeStore, "write", write)
    report = import_dataset(path, tmp_path / "w")
    (refused,) = report.quarantined
    assert (len(report.imported), refused.what) == (1, "the file changed while it was read")


def test_broken_descriptions_of_the_environment_are_refused(tmp_path: Path) -> None:
    with h5py.File(made(tmp_path / "x.hdf5"), "a") as file:
        file["data"].attrs["env_args"] = "{"
    with pytest.raises(EpisodeFormatError, match="env_args is not JSON"):
        import_dataset(tmp_path / "x.hdf5", tmp_path / "w", strict=True)


def test_an_import_that_was_stopped_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, taken = made(tmp_path / "x.hdf5"), EpisodeStore.write

    def stopped(store: EpisodeStore, episode: Any) -> str:
        if store.ids():
            raise KeyboardInterrupt
        return taken(store, episode)

    monkeypatch.setattr(EpisodeStore, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        import_dataset(path, tmp_path / "w")
    monkeypatch.setattr(EpisodeStore, "write", taken)
    report = import_dataset(path, tmp_path / "w")
    assert (len(report.imported), len(report.duplicates), report.quarantined) == (1, 1, ())


def test_robomimic_has_its_own_layout(tmp_path: Path) -> None:
    store = stored(tmp_path / "a", sample_episode(reward=None), sample_episode(1))
    leaving = [Leaving(episode_id=e, split=s) for e, s in zip(store.ids(), ("train", "validation"), strict=True)]
    export_dataset(store, tmp_path / "out.hdf5", leaving, format="robomimic")
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert file["data"].attrs["total"] == 12
        assert json.loads(file["data"].attrs["env_args"])["env_kwargs"] == {"control_freq": 10.0}
        assert [file[f"mask/{key}"][()].tolist() for key in ("train", "valid")] == [[b"demo_0"], [b"demo_1"]]
        for name, demo in file["data"].items():
            assert demo.attrs["num_samples"] == 6, name
            assert demo["actions"].shape == (6, 7)
            assert demo["dones"][()].tolist() == [0, 0, 0, 0, 0, 1]
            derivation = demo["rewards"].attrs["rewards_derivation"]
            assert demo["rewards"][()].tolist() == [0, 0, 0, 0, 0, float(derivation == "outcome")]
            assert set(demo["obs"]) == {"proprio", "robot0_eef_pos", "robot0_eef_quat", "wrench", "wrist_image"}
            assert demo["obs/wrist_image"].shape == (6, 16, 24, 3)


@pytest.mark.parametrize("key", ["time_s", "action/policy_id", "action/human"])
def test_a_robomimic_file_of_ours_that_was_spoiled_is_refused(tmp_path: Path, key: str) -> None:
    store = stored(tmp_path / "a", sample_episode())
    export(store, tmp_path / "out.hdf5", "robomimic")
    with h5py.File(tmp_path / "out.hdf5", "r+") as file:
        own = file["data/demo_0/regrasp"]
        del own[key]
        own[key] = np.arange(6) if key == "action/policy_id" else np.array([b"a"] * 6)
    (refused,) = import_dataset(tmp_path / "out.hdf5", tmp_path / "b").quarantined
    assert "numbers" in str(refused) or "no text" in str(refused)


def test_a_foreign_robomimic_file_invents_nothing(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "low.hdf5", "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}})
        demo = data.create_group("demo_0")
        demo["actions"], demo["states"], demo["rewards"] = np.ones((3, 7)), np.ones((3, 32)), np.ones(3)
        demo["obs/robot0_eef_pos"], demo["obs/robot0_eef_quat"] = np.zeros((3, 3)), np.tile([0.0, 0, 0, 1], (3, 1))
        demo["obs/robot0_gripper_qpos"] = np.full((3, 2), 0.5)
        demo["obs/agentview_image"] = np.stack([sample_frame(t) for t in range(3)])
    report = import_dataset(tmp_path / "low.hdf5", tmp_path / "w")
    store = EpisodeStore(tmp_path / "w")
    episode = store.read(report.imported[0])
    assert (episode.task, episode.fps, episode.source_format) == ("lift", 20, "robomimic_hdf5")
    assert (episode.success, set(episode.action_source)) == (Outcome.UNKNOWN, {255})
    assert episode.ee_pose is not None
    assert episode.ee_pose[0].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert episode.proprio is not None
    assert episode.proprio.shape == (3, 9)
    assert episode.proprio_names[-1] == "robot0_gripper_qpos.1"
    np.testing.assert_array_equal(store.frame(report.imported[0], "agentview", 2), sample_frame(2))
    assert "not kept: states of the demonstrations" in report.warnings
