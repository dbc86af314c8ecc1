"""What the person says of a dataset counts the same in every format, and never goes by without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from episode_samples import sample_episode
from import_samples import DATA, dataset
from transition_samples import authors_episode, write

from episodes.errors import UsageError
from episodes.formats import import_dataset
from episodes.formats.exporting import Leaving, export_dataset
from episodes.record import Episode, Outcome
from episodes.store import EpisodeStore


def imported(source: Path, root: Path, fields: dict[str, Any]) -> Episode:
    """The first episode of a dataset under these fields of a mapping."""
    report = import_dataset(source, root, task="said", mapping={"fields": fields}, allow_pickle=True)
    assert not report.quarantined, report.quarantined[0]
    assert not [warning for warning in report.warnings if warning.startswith("time")]
    return EpisodeStore(root).read(report.imported[0])


@pytest.mark.parametrize(
    ("format", "stamps"), [("lerobot_v2", "index"), ("lerobot_v3", "index"), ("seed_json", "t"), ("aloha_hdf5", "ms")]
)
def test_stamps_that_the_mapping_names_are_the_times(tmp_path: Path, format: str, stamps: str) -> None:
    source = dataset(format, tmp_path / "data")
    if format == "aloha_hdf5":
        import h5py

        for file in source.iterdir():
            with h5py.File(file, "a") as opened:
                opened["ms"] = np.arange(len(opened["action"]))
    episode = imported(source, tmp_path / "w", {"time": {"from": stamps, "unit": "ms"}})
    np.testing.assert_allclose(episode.time_s, np.arange(len(episode)) / 1000)
    assert episode.time_derivation == "recorded"


def test_stamps_and_instructions_of_pickles_are_those_the_mapping_names(tmp_path: Path) -> None:
    steps = [{**step, "clock": 5.0 + 2 * t} for t, step in enumerate(authors_episode(1, 4, success=True, said="press"))]
    fields = {"time": {"from": "clock", "unit": "s"}, "instruction": "said"}
    episode = imported(write(tmp_path / "data/a.pkl", steps), tmp_path / "w", fields)
    assert (episode.instruction, list(episode.time_s), episode.time_derivation) == ("press", [0, 2, 4, 6], "recorded")


def left(tmp_path: Path, format: str) -> Path:
    """A failure that the policy had in its hands all along, as an export of ours."""
    alone = sample_episode(success=Outcome.FAILURE, action_source=np.zeros(6, np.uint8))
    store = EpisodeStore(tmp_path / "store")
    export_dataset(store, tmp_path / "out", [Leaving(episode_id=store.write(alone))], format=format)
    return tmp_path / "out"


@pytest.mark.parametrize(("format", "done"), [("lerobot-v3", "next.done"), ("robomimic", "dones")])
def test_the_mapping_wins_over_the_note_of_an_export(tmp_path: Path, format: str, done: str) -> None:
    source = left(tmp_path, format)
    fields = {"success": done, "intervention": {"from": done, "true": "policy"}}
    episode = imported(source, tmp_path / "w", fields)
    assert (episode.success, episode.success_derivation) == (Outcome.SUCCESS, f"field {done} by the import mapping")
    assert list(episode.action_source) == [2, 2, 2, 2, 2, 0]
    assert episode.robot == sample_episode().robot
    assert imported(source, tmp_path / "v", {}).success is Outcome.FAILURE


def test_an_instruction_that_the_mapping_names_wins_over_the_note(tmp_path: Path) -> None:
    source = left(tmp_path, "lerobot-v3")
    said = {"instruction": "complementary_info.control_mode"}
    assert imported(source, tmp_path / "w", said).instruction == "policy"


@pytest.mark.parametrize(
    ("format", "mapping", "says"),
    [
        ("rosbag1", {"fields": {"time": "/clock"}}, "fields.time"),
        ("seed_json", {"steps": "/tag", "joints": ["a"]}, "steps and joints"),
    ],
)
def test_what_means_nothing_for_a_format_is_refused(
    tmp_path: Path, format: str, mapping: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=f"^{says} in the mapping means nothing for {format}; take it out$"):
        import_dataset(dataset(format, tmp_path / "data"), tmp_path / "w", mapping=mapping)


def test_a_camera_that_no_episode_has_is_told(tmp_path: Path) -> None:
    mapping = {"cameras": {"wrist": "hand", "thrid": "front"}}
    report = import_dataset(DATA / "seed_json", tmp_path, mapping=mapping)
    (told,) = [warning for warning in report.warnings if warning.startswith("cameras")]
    assert told == "cameras: no episode has what the mapping names front (for 'thrid'); here are: hand, third"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("m.json", "{", "no object of JSON"),
        ("m.json", "[]", "no object of JSON"),
        ("m.json", '{"robto": "x"}', "is wrong at 'robto'"),
        ("m.yaml", "robot: x", "neither .toml nor .json"),
    ],
)
def test_a_mapping_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as raised:
        import_dataset(DATA / "seed_json", tmp_path / "w", mapping=tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)
    assert says in str(raised.value)


def test_a_dataset_that_the_mapping_misspells_is_looked_for_in_the_mapping(tmp_path: Path) -> None:
    source = dataset("aloha_hdf5", tmp_path / "data")
    report = import_dataset(source, tmp_path / "w", mapping={"fields": {"executed_action": "acton"}})
    assert "there is no dataset acton in it, of action, " in str(report.quarantined[0])
    assert report.quarantined[0].remedy == "mend fields.executed_action in the mapping"
