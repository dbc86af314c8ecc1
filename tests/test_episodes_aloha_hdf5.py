"""ALOHA: one file an episode, pixels or padded JPEG, nothing invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from episode_samples import sample_frame

from episodes.errors import EpisodeFormatError
from episodes.formats import import_dataset
from episodes.images import encode_jpeg
from episodes.record import ActionSource, Outcome
from episodes.store import EpisodeStore

JPEGS = [encode_jpeg(sample_frame(k)) for k in range(5)]


def made(path: Path, **datasets: Any) -> Path:
    """An episode of five steps; `datasets` by their paths, with `__` for `/`, replace those of a real one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(path.name))
    found: dict[str, Any] = {
        "observations__qpos": random.normal(size=(5, 14)),
        "observations__qvel": random.normal(size=(5, 14)),
        "observations__effort": random.normal(size=(5, 14)),
        "observations__images__cam_high": np.stack([sample_frame(k) for k in range(5)]),
        "action": random.normal(size=(5, 14)).astype(np.float32),
    }
    with h5py.File(path, "w") as file:
        file.attrs["sim"] = False
        for name, value in (found | datasets).items():
            file[name.replace("__", "/")] = value
    return path


def padded() -> np.ndarray[Any, Any]:
    cells = np.zeros((5, max(map(len, JPEGS)) + 7), np.uint8)
    for row, jpeg in zip(cells, JPEGS, strict=True):
        row[: len(jpeg)] = np.frombuffer(jpeg, np.uint8)
    return cells


def of_any_length() -> np.ndarray[Any, Any]:
    cells = np.empty(5, h5py.vlen_dtype(np.uint8))
    cells[:] = [np.frombuffer(jpeg, np.uint8) for jpeg in JPEGS]
    return cells


def test_each_file_is_an_episode(tmp_path: Path) -> None:
    for number in range(2):
        made(tmp_path / "Sew Button" / f"episode_{number}.hdf5", action=np.full((5, 14), number, np.float32))
    report = import_dataset(tmp_path / "Sew Button", tmp_path / "w")
    assert (len(report.imported), report.quarantined) == (2, ())
    assert any("50 steps a second are assumed" in told for told in report.warnings)
    store = EpisodeStore(tmp_path / "w")
    episode = store.read(report.imported[0])
    assert (episode.task, episode.instruction, episode.source_format) == ("sew_button", "", "aloha_hdf5")
    assert (episode.success, set(episode.action_source)) == (Outcome.UNKNOWN, {ActionSource.UNKNOWN})
    assert (episode.fps, episode.time_derivation, dict(episode.collected_by)) == (50, "assumed rate", {"sim": False})
    with h5py.File(tmp_path / "Sew Button" / "episode_0.hdf5") as file:
        state = [file[f"observations/{name}"][()] for name in ("qpos", "qvel", "effort")]
        np.testing.assert_array_equal(episode.executed_action, file["action"][()])
    np.testing.assert_array_equal(episode.proprio, np.concatenate(state, axis=1).astype(np.float32))
    assert (episode.proprio_names[0], episode.proprio_names[-1]) == ("qpos.0", "effort.13")
    np.testing.assert_array_equal(store.frame(report.imported[0], "cam_high", 3), sample_frame(3))


@pytest.mark.parametrize("pictures", [padded(), of_any_length()])
def test_jpeg_is_passed_through(tmp_path: Path, pictures: Any) -> None:
    path = made(tmp_path / "x.hdf5", observations__images__cam_high=pictures, compress_len=np.zeros((1, 5)))
    report = import_dataset(path, tmp_path / "w", task="sew")
    assert not any("not kept" in told for told in report.warnings)
    found = [EpisodeStore(tmp_path / "w").encoded(report.imported[0], "cam_high", t) for t in range(5)]
    assert found == [(jpeg, "jpeg") for jpeg in JPEGS]


def test_a_mobile_base_is_part_of_the_action_and_the_rest_is_named(tmp_path: Path) -> None:
    depth = np.zeros((5, 16, 24), np.uint16)
    path = made(tmp_path / "x.hdf5", base_action=np.ones((5, 2)), observations__images_depth__high=depth)
    report = import_dataset(path, tmp_path / "w")
    episode = EpisodeStore(tmp_path / "w").read(report.imported[0])
    assert episode.executed_action is not None
    assert episode.executed_action.shape == (5, 16)
    assert episode.action_space["names"][-2:] == ["base_action.0", "base_action.1"]
    assert "not kept: observations/images_depth/high of the demonstrations" in report.warnings


CAMERA = "observations/images/cam_high"


@pytest.mark.parametrize(
    ("place", "values", "key", "says"),
    [
        ("observations/qpos", np.zeros((4, 14)), "observations/qpos", "(4, 14) and the episode has 5 steps"),
        ("observations/qvel", np.zeros((5, 0)), "observations/qvel", "not (steps, values)"),
        ("observations/qpos", np.full((5, 14), np.inf), "proprio", "infinite"),
        ("action", np.where(np.eye(5, 14), np.nan, 0), "executed_action", "NaN"),
        (CAMERA, np.zeros((4, 8, 8, 3), np.uint8), CAMERA, "(4, 8, 8, 3) and the episode has 5 steps"),
        (CAMERA, np.zeros((5, 8, 8, 4), np.uint8), CAMERA, "not pictures of (steps, height, width, 3)"),
        (CAMERA, np.zeros((5, 8), np.uint8), CAMERA, "frame 0"),
        ("observations/images/CAM_high", padded(), CAMERA, "would both be camera cam_high"),
    ],
)
def test_a_bad_episode_is_quarantined(tmp_path: Path, place: str, values: Any, key: str, says: str) -> None:
    made(tmp_path / "lab" / "a.hdf5")
    made(tmp_path / "lab" / "b.hdf5", **{place.replace("/", "__"): values})
    report = import_dataset(tmp_path / "lab", tmp_path / "w")
    (refused,) = report.quarantined
    assert (len(report.imported), refused.episode, refused.key) == (1, "b.hdf5", key)
    assert says in str(refused)


def test_other_files_among_them_are_quarantined(tmp_path: Path) -> None:
    lab = made(tmp_path / "lab" / "b.hdf5").parent
    made(tmp_path / "outside.hdf5")
    (lab / "a.hdf5").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (lab / "c.hdf5").write_bytes((lab / "b.hdf5").read_bytes()[:2000])
    (lab / "d.hdf5").symlink_to(tmp_path / "outside.hdf5")
    with h5py.File(lab / "e.hdf5", "w") as file:
        file["x"] = 1
    report = import_dataset(lab, tmp_path / "w")
    assert len(report.imported) == 1
    says = ["git lfs pull", "copy the file again", "leads out of the dataset", "no ALOHA episode"]
    assert all(words in str(error) for words, error in zip(says, report.quarantined, strict=True))


def test_a_link_to_a_file_is_as_good_as_the_file(tmp_path: Path) -> None:
    (tmp_path / "link.hdf5").symlink_to(made(tmp_path / "lab" / "x.hdf5"))
    assert len(import_dataset(tmp_path / "link.hdf5", tmp_path / "w").imported) == 1


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["data/demo_0/actions"] = np.ones((3, 7))
    with pytest.raises(EpisodeFormatError, match="no ALOHA episode"):
        import_dataset(tmp_path / "x.hdf5", tmp_path / "w", format="aloha_hdf5")
