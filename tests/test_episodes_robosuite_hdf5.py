"""Raw robosuite demonstrations: three episodes, nothing invented."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from episodes.errors import EpisodeFormatError
from episodes.formats import import_dataset
from episodes.record import ActionSource, Outcome
from episodes.store import EpisodeStore

LIFT = Path(__file__).parent / "data" / "robosuite_lift_hdf5"


def made(path: Path, **datasets: Any) -> Path:
    """An HDF5 file with one good demonstration `demo_1` and a `demo_2` made of `datasets`."""
    with h5py.File(path, "w") as file:
        file["data/demo_1/actions"] = np.random.default_rng(0).normal(size=(4, 7))
        demo = file.create_group("data/demo_2")
        for name, value in datasets.items():
            demo[name] = value
    return path


def test_lift_is_three_episodes_of_unknown_outcome_and_actor(tmp_path: Path) -> None:
    report = import_dataset(LIFT, tmp_path)
    assert (len(report.imported), report.duplicates, report.quarantined) == (3, (), ())
    store = EpisodeStore(tmp_path)
    found = [store.read(name) for name in report.imported]
    assert [len(episode) for episode in found] == [482, 510, 392]
    for episode in found:
        assert (episode.task, episode.robot, episode.instruction) == ("lift", "Panda", "")
        assert (episode.success, episode.success_derivation) == (Outcome.UNKNOWN, "")
        assert set(episode.action_source) == {ActionSource.UNKNOWN}
        assert (episode.collection, episode.fps, episode.time_derivation) == ("unknown", 20.0, "assumed rate")
        assert (episode.human_action, episode.policy_action, episode.reward, episode.ee_pose) == (None,) * 4
        assert episode.images == {}
    with h5py.File(LIFT / "demo.hdf5") as file:
        np.testing.assert_array_equal(found[0].executed_action, file["data/demo_1/actions"][()].astype(np.float32))
        np.testing.assert_array_equal(found[2].proprio, file["data/demo_3/states"][()].astype(np.float32))


def test_the_report_says_what_is_not_known(tmp_path: Path) -> None:
    text = "\n".join(import_dataset(LIFT / "demo.hdf5", tmp_path).warnings)
    for words in ("20 steps a second are assumed", "outcome (3 of 3", "actor (3 of 3", "action_limits (3 of 3"):
        assert words in text


def test_the_rate_can_be_given(tmp_path: Path) -> None:
    (name, *_) = import_dataset(LIFT, tmp_path, fps=10, task="lifting").imported
    episode = EpisodeStore(tmp_path).read(name, images=False)
    assert (episode.fps, episode.time_s[-1], episode.task) == (10, 48.1, "lifting")


@pytest.mark.parametrize(
    ("datasets", "key"),
    [
        ({"states": np.zeros((4, 3))}, "actions"),
        ({"actions": np.zeros((4, 0))}, "actions"),
        ({"actions": np.zeros(4)}, "actions"),
        ({"actions": np.zeros((0, 7))}, "actions"),
        ({"actions": np.full((4, 7), b"x")}, "actions"),
        ({"actions": np.zeros((4, 7)), "states": np.zeros((5, 3))}, "states"),
        ({"actions": np.full((4, 7), np.inf)}, "executed_action"),
        ({"actions": h5py.ExternalLink("other.hdf5", "/x")}, "actions"),
        ({"actions": h5py.SoftLink("/data/demo_1/actions")}, "actions"),
    ],
)
def test_a_bad_demonstration_is_quarantined(tmp_path: Path, datasets: dict[str, Any], key: str) -> None:
    report = import_dataset(made(tmp_path / "demos.hdf5", **datasets), tmp_path / "w")
    assert len(report.imported) == 1
    (refused,) = report.quarantined
    assert (refused.episode, refused.key) == ("demos.hdf5#demo_2", key)


def test_a_demonstration_that_is_no_group_of_this_file_is_quarantined(tmp_path: Path) -> None:
    made(tmp_path / "other.hdf5", actions=np.ones((3, 7)))
    with h5py.File(made(tmp_path / "demos.hdf5", actions=np.ones((3, 7))), "a") as file:
        file["data/demo_3"] = h5py.ExternalLink(str(tmp_path / "other.hdf5"), "/data/demo_1")
        file["data/demo_4"] = np.ones((3, 7))
    refused = import_dataset(tmp_path / "demos.hdf5", tmp_path / "w").quarantined
    assert [error.episode for error in refused] == ["demos.hdf5#demo_3", "demos.hdf5#demo_4"]
    assert {error.key for error in refused} == {"actions"}


def test_other_groups_are_named_as_not_kept(tmp_path: Path) -> None:
    path = made(tmp_path / "demos.hdf5", actions=np.ones((3, 7)), dones=np.zeros(3))
    assert "not kept: dones of the demonstrations" in import_dataset(path, tmp_path / "w").warnings


def test_demonstrations_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "demos.hdf5", "w") as file:
        for number in (10, 2, 1):
            file[f"data/demo_{number}/actions"] = np.full((number, 7), number)
    report = import_dataset(tmp_path / "demos.hdf5", tmp_path / "w")
    store = EpisodeStore(tmp_path / "w")
    assert [store.attributes(name)["length"] for name in report.imported] == [1, 2, 10]


def test_a_declared_rate_is_taken_where_it_is_a_rate(tmp_path: Path) -> None:
    found = []
    for number, rate in enumerate((25, "fast", None)):
        path = made(tmp_path / f"{number}.hdf5", actions=np.ones((3, 7)))
        with h5py.File(path, "a") as file:
            file["data"].attrs["env_info"] = json.dumps({"control_freq": rate, "robots": ["Panda", 2]})
        report = import_dataset(path, tmp_path / f"w{number}")
        episode = EpisodeStore(tmp_path / f"w{number}").read(report.imported[0])
        found.append((episode.fps, episode.time_derivation, episode.robot))
    assert found == [(25, "declared rate", "Panda, 2")] + [(20, "assumed rate", "Panda, 2")] * 2


def test_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    data = (LIFT / "demo.hdf5").read_bytes()
    (tmp_path / "cut.hdf5").write_bytes(data[: len(data) // 2])
    with pytest.raises(EpisodeFormatError, match="copy the file again") as caught:
        import_dataset(tmp_path / "cut.hdf5", tmp_path / "w")
    assert caught.value.file == "cut.hdf5"
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["x"] = 1
    with pytest.raises(EpisodeFormatError, match="no demonstrations") as caught:
        import_dataset(tmp_path / "other.hdf5", tmp_path / "w")
    assert caught.value.key == "data/demo_*"


def test_a_damaged_file_among_good_ones_is_quarantined(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    shutil.copytree(LIFT, folder)
    (folder / "cut.hdf5").write_bytes((LIFT / "demo.hdf5").read_bytes()[:1000])
    report = import_dataset(folder, tmp_path / "w")
    assert len(report.imported) == 3
    assert [error.file for error in report.quarantined] == ["cut.hdf5"]


def test_the_layout_of_2018_needs_to_be_told_what_the_action_is(tmp_path: Path) -> None:
    path = tmp_path / "demo.hdf5"
    with h5py.File(path, "w") as file:
        demo = file.create_group("data/demo_1")
        file["data"].attrs.update({"env": "SawyerLift", "repository_version": "0.1.0"})
        demo.attrs["model_file"] = "../../model_1.xml"  # a name of a file here, and the model itself in later versions
        sizes = {"right_dpos": 3, "right_dquat": 4, "gripper_actuations": 1, "left_dpos": 0, "states": 34}
        for number, (name, size) in enumerate(sizes.items()):
            demo[name] = np.full((5, size), number, float)
    (refused,) = import_dataset(path, tmp_path / "w").quarantined
    assert refused.key == "actions"
    line = refused.remedy.removeprefix("say in a mapping file (--mapping) which are the action, of ")
    assert line == 'fields.executed_action = ["gripper_actuations", "right_dpos", "right_dquat"]'
    (tmp_path / "mapping.toml").write_text(
        line.replace('"gripper_actuations", ', "").replace("]", ', "gripper_actuations"]')
    )
    report = import_dataset(path, tmp_path / "w", mapping=tmp_path / "mapping.toml")
    episode = EpisodeStore(tmp_path / "w").read(report.imported[0])
    assert (episode.task, dict(episode.collected_by)) == ("sawyerlift", {"repository_version": "0.1.0"})
    assert episode.executed_action is not None
    assert episode.executed_action[0].tolist() == [0] * 3 + [1] * 4 + [2]
    assert episode.action_space["names"][3:5] == ["right_dquat.0", "right_dquat.1"]
    assert "not kept: left_dpos of the demonstrations" in report.warnings
    said = {"fields": {"executed_action": ["right_dpos", "left_dpos"]}}
    (refused,) = import_dataset(path, tmp_path / "v", mapping=said).quarantined
    assert (refused.key, "(5, 0)" in str(refused)) == ("left_dpos", True)


def test_a_refusal_has_one_remedy(tmp_path: Path) -> None:
    path = made(tmp_path / "x.hdf5", actions=np.ones((2, 7)), is_intervention=[0, 1], intervention=[1, 1])
    (refused,) = import_dataset(path, tmp_path / "w").quarantined
    assert refused.what == "is_intervention and intervention do not agree on who acted at step 0"
    assert refused.remedy == "say which one counts with fields.intervention in the mapping"


def test_text_that_is_too_long_for_the_record_is_quarantined(tmp_path: Path) -> None:
    with h5py.File(made(tmp_path / "x.hdf5", actions=np.ones((3, 7))), "a") as file:
        file["data"].attrs["env_info"] = json.dumps({"robots": "x" * 61_000})
    report = import_dataset(tmp_path / "x.hdf5", tmp_path / "w")
    assert {(error.key, error.episode[-1]) for error in report.quarantined} == {("robot", "1"), ("robot", "2")}
