"""The seed's JSON layout: frames byte for byte, flags to sources, nothing filled in, nothing read outside."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from episodes.errors import EpisodeFormatError
from episodes.formats import import_dataset
from episodes.record import Episode, Outcome
from episodes.store import EpisodeStore

SEED = Path(__file__).parent / "data" / "seed_json"


def edited(tmp_path: Path, **changes: Any) -> Path:
    """A copy of the first sample episode with fields of the file changed; `None` takes a field out."""
    folder = tmp_path / "lab"
    shutil.copytree(SEED / "episode_000000", folder)
    seed = json.loads((folder / "episode.json").read_text()) | changes
    (folder / "episode.json").write_text(json.dumps({key: value for key, value in seed.items() if value is not None}))
    return folder


def with_step(t: int, /, **changes: Any) -> list[dict[str, Any]]:
    """The sample's steps with step `t` changed; `None` takes a key out."""
    steps: list[dict[str, Any]] = json.loads((SEED / "episode_000000" / "episode.json").read_text())["steps"]
    steps[t] = {key: value for key, value in (steps[t] | changes).items() if value is not None}
    return steps


def imported(tmp_path: Path, source: Path) -> Episode:
    (name,) = import_dataset(source, tmp_path / "w").imported
    return EpisodeStore(tmp_path / "w").read(name)


def refusal(tmp_path: Path, source: Path) -> EpisodeFormatError:
    report = import_dataset(source, tmp_path / "w")
    assert report.imported == ()
    return report.quarantined[0]


def test_the_sample_as_it_is(tmp_path: Path) -> None:
    episode = imported(tmp_path, SEED / "episode_000000" / "episode.json")
    assert (episode.task, episode.instruction) == ("ram_insertion", "Insert the RAM module into the slot")
    assert (episode.success, episode.success_derivation) == (Outcome.SUCCESS, "field success of the source")
    assert episode.action_source.tolist() == [0, 0, 0, 2, 2, 0]
    assert (episode.collection, episode.end_reason, episode.terminal) == ("takeover", "unknown", False)
    assert episode.time_s.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert (episode.human_action, episode.policy_action, episode.proprio, episode.wrench) == (None,) * 4
    assert episode.ee_pose is not None
    assert episode.ee_pose[2].tolist() == [0.4, 0.0, 0.18, 0, 0, 0, 1]


def test_frames_are_passed_through(tmp_path: Path) -> None:
    (name,) = import_dataset(SEED / "episode_000001", tmp_path).imported
    store = EpisodeStore(tmp_path)
    for camera in ("wrist", "third"):
        for t in range(6):
            want = (SEED / "episode_000001" / "frames" / f"{camera}_{t:06d}.jpg").read_bytes()
            assert store.encoded(name, camera, t) == (want, "jpeg")


@pytest.mark.parametrize(("success", "outcome"), [(False, Outcome.FAILURE), (None, Outcome.UNKNOWN)])
def test_outcomes(tmp_path: Path, success: bool | None, outcome: Outcome) -> None:
    episode = imported(tmp_path, edited(tmp_path, success=success))
    assert episode.success is outcome
    assert bool(episode.success_derivation) == (success is not None)


def test_without_flags_nobody_knows_who_acted(tmp_path: Path) -> None:
    steps = [{key: step[key] for key in step if key != "human_intervene"} for step in with_step(0)]
    episode = imported(tmp_path, edited(tmp_path, steps=steps))
    assert (set(episode.action_source), episode.collection) == ({255}, "unknown")


def test_a_constant_flag_is_named(tmp_path: Path) -> None:
    report = import_dataset(SEED / "episode_000001", tmp_path)
    assert any("human_intervene is false at every step" in warning for warning in report.warnings)


def test_a_declared_rate_and_missing_steps_keep_their_time(tmp_path: Path) -> None:
    steps = [*with_step(0)[:3], *with_step(0)[4:]]
    episode = imported(tmp_path, edited(tmp_path, steps=steps, fps=5))
    assert (episode.time_derivation, episode.fps) == ("declared rate", 5)
    assert episode.time_s.tolist() == [0, 0.2, 0.4, 0.8, 1.0]


def test_what_is_not_kept_is_named(tmp_path: Path) -> None:
    report = import_dataset(edited(tmp_path, steps=with_step(1, joint_torque=[1.0])), tmp_path / "w")
    assert "not kept: joint_torque of the steps" in report.warnings


def test_a_task_that_the_file_does_not_name_is_said_at_the_import(tmp_path: Path) -> None:
    source = edited(tmp_path, task=None)
    (refused,) = import_dataset(source, tmp_path / "w").quarantined
    assert (refused.key, refused.remedy) == ("task", "say it with --task")
    (imported,) = import_dataset(source, tmp_path / "w", task="tube").imported
    assert EpisodeStore(tmp_path / "w").read(imported).task == "tube"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"task": 7}, "task"),
        ({"steps": []}, "steps"),
        ({"steps": with_step(3, action="up")}, "steps.3.action"),
        ({"steps": with_step(3, action=None)}, "steps.3.action"),
        ({"steps": with_step(3, action=[1.0])}, "steps.3.action"),
        ({"steps": with_step(3, human_intervene=1)}, "steps.3.human_intervene"),
        ({"steps": with_step(3, t=2)}, "time_s"),
        ({"steps": with_step(3, wrist_rgb=None)}, "steps.3.wrist_rgb"),
        ({"steps": with_step(3, wrist_rgb="frames/none.jpg")}, "steps.3.wrist_rgb"),
        ({"steps": with_step(3, wrist_rgb="../outside.jpg")}, "steps.3.wrist_rgb"),
        ({"steps": with_step(3, wrist_rgb="/etc/hostname")}, "steps.3.wrist_rgb"),
        ({"steps": with_step(3, wrist_rgb="episode.json")}, "wrist_rgb"),
    ],
)
def test_each_fault_is_refused_with_its_place(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    source = edited(tmp_path, **changes)
    shutil.copy(source / "frames" / "wrist_000000.jpg", tmp_path / "outside.jpg")
    error = refusal(tmp_path, source)
    assert (error.file.split("/")[0], error.key) == ("lab", key)
    assert error.episode == "episode.json"


def test_a_link_out_of_the_dataset_is_refused(tmp_path: Path) -> None:
    source = edited(tmp_path)
    frame = source / "frames" / "third_000001.jpg"
    frame.rename(tmp_path / "secret.jpg")
    frame.symlink_to(tmp_path / "secret.jpg")
    assert "leads out of the dataset" in str(refusal(tmp_path, source))


def test_frames_of_two_sizes_and_cut_off_frames_are_refused(tmp_path: Path) -> None:
    source = edited(tmp_path)
    frame = source / "frames" / "third_000001.jpg"
    frame.write_bytes(frame.read_bytes()[:-30])
    assert "frame 1 (frames/third_000001.jpg): a jpeg frame" in str(refusal(tmp_path, source))


def test_files_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    source = edited(tmp_path)
    file = source / "episode.json"
    file.write_bytes(file.read_bytes().replace(b"Insert", b"\xff\xfe"))
    assert refusal(tmp_path, source).episode == "episode.json"


def test_the_mapping_says_what_other_keys_mean(tmp_path: Path) -> None:
    steps = [
        {key: value for key, value in step.items() if key != "human_intervene"}
        | {"stamp": 1e9 + 0.25 * t, "force": [0.0, 0.0, float(t), 0.0, 0.0, 0.0], "robot": t < 2, "mark": "fine"}
        for t, step in enumerate(with_step(0))
    ]
    fields = {
        "time": {"from": "stamp", "unit": "s"},
        "wrench": {"from": "force", "unit": ["N", "Nm"]},
        "intervention": {"from": "robot", "true": "policy"},
        "success": {"from": "mark", "values": {"fine": "failure"}},
    }
    said = {"fields": fields, "cameras": {"wrist": "hand"}}
    report = import_dataset(edited(tmp_path, steps=steps), tmp_path / "w", mapping=said)
    episode = EpisodeStore(tmp_path / "w").read(report.imported[0])
    assert episode.time_s.tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25]
    assert episode.wrench is not None
    assert episode.wrench[:, 2].tolist() == [0, 1, 2, 3, 4, 5]
    assert episode.action_source.tolist() == [0, 0, 2, 2, 2, 2]
    assert (episode.success, sorted(episode.images)) == (Outcome.FAILURE, ["hand", "third"])
    assert not any("not kept" in warning or "steps a second" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"fields": {"reward": "none"}}, "the steps have no 'none', of t, "),
        ({"fields": {"success": "none"}}, "the steps have no 'none', of t, .*; mend the mapping"),
        ({"fields": {"reward": "odd"}}, "odd holds lists of several lengths"),
        ({"fields": {"reward": "what"}}, "what is neither numbers nor text"),
        ({"cameras": {"wrist": "third"}}, "would both be camera third"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(tmp_path: Path, said: dict[str, Any], says: str) -> None:
    steps = [step | {"odd": [[1], [2, 3]], "what": {"a": 1}} for step in with_step(0)]
    (refused,) = import_dataset(edited(tmp_path, steps=steps), tmp_path / "w", mapping=said).quarantined
    assert re.search(says, str(refused))


def test_a_published_name_of_a_flag_counts_here_too(tmp_path: Path) -> None:
    steps = [step | {"human_intervene": None, "is_intervention": t > 3} for t, step in enumerate(with_step(0))]
    episode = imported(tmp_path, edited(tmp_path, steps=steps))
    assert episode.action_source.tolist() == [0, 0, 0, 0, 2, 2]
