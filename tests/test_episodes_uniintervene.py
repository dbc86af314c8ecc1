"""Export to the data contract of UniIntervene's authors: what the contract asks for, and what comes back of it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from episode_samples import sample_episode, sample_frames
from transition_samples import opened

from episodes.errors import DataRefused
from episodes.formats import import_dataset
from episodes.formats.exporting import Leaving, export_dataset
from episodes.formats.pickles import opening
from episodes.images import decode
from episodes.record import ActionSource, Episode, Outcome
from episodes.store import EpisodeStore


def seen(seed: int = 0, **changes: Any) -> Episode:
    images = {"wrist": sample_frames(6, seed), "third": sample_frames(6, seed + 50)}
    return sample_episode(seed, **{"images": images, **changes})


def exported(tmp_path: Path, *episodes: Episode, **known: Any) -> tuple[EpisodeStore, Path]:
    store = EpisodeStore(tmp_path / "a")
    leaving = [Leaving(episode_id=store.write(episode), **known) for episode in episodes]
    export_dataset(store, tmp_path / "raw", leaving, format="uniintervene")
    return store, tmp_path / "raw"


def contract(steps: list[opening.Step], pictures: list[opening.Step]) -> bool:
    """The outcome, after every check that the authors' `validate_data.py` makes of an episode."""
    for small, step in zip(steps, pictures, strict=True):
        for view in ("external", "wrist"):
            assert (step[f"observations/{view}"].dtype, step[f"observations/{view}"].shape[-1]) == (np.uint8, 3)
        assert np.isfinite(step["observations/state"]).all()
        assert np.isfinite(step["next_observations/state"]).all()
        assert step["actions"].shape == (7,)
        assert np.isfinite(step["actions"]).all()
        assert isinstance(small["rewards"], float)
        assert str(step["task_name"])
    return bool(steps[-1]["success"])


def test_each_file_holds_to_the_contract(tmp_path: Path) -> None:
    curve = np.linspace(0, 1, 6)
    failed = seen(1, success=Outcome.FAILURE, terminal=False, reward=None)
    _, raw = exported(tmp_path, seen(), failed, curves=lambda: {"value": curve, "risk": curve})
    files = sorted(raw.iterdir())
    assert [path.name for path in files] == ["transitions_000000.pkl", "transitions_000001.pkl"]
    one, two = (opened(path) for path in files)
    assert (contract(one, one), contract(two, two)) == (True, False)
    for steps in (one, two):
        assert [step["dones"] for step in steps] == [False] * 5 + [True]
        assert [step["vf_value_pred"] for step in steps] == curve.tolist()
        assert [step["intervened"] for step in steps] == [False] * 4 + [True] * 2
        for before, after in itertools.pairwise(steps):
            np.testing.assert_array_equal(before["next_observations/state"], after["observations/state"])
    assert ([step["masks"] for step in one][-2:], [step["masks"] for step in two][-2:]) == ([1, 0], [1, 1])
    assert [step["rewards"] for step in two] == [0] * 6
    assert (one[0]["task_name"], one[0]["task_text"]) == ("tube_insertion", "Insert the tube")


def test_it_comes_back_with_what_the_contract_has_a_place_for(tmp_path: Path) -> None:
    store, raw = exported(tmp_path, seen())
    report = import_dataset(raw, tmp_path / "b", allow_pickle=True, mapping={"cameras": {"external": "third"}})
    before, after = store.read(store.ids()[0]), EpisodeStore(tmp_path / "b").read(report.imported[0])
    for name in ("executed_action", "proprio", "reward", "action_source", "time_s"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name), name)
    for name in ("task", "instruction", "success", "collection", "fps", "terminal", "complete"):
        assert getattr(before, name) == getattr(after, name), name
    for camera in ("wrist", "third"):
        for t in range(6):
            pixels = [decode(e.images[camera].frame(t), e.images[camera].codec) for e in (before, after)]
            np.testing.assert_array_equal(*pixels)
    assert (
        store.attributes(store.ids()[0])["group_id"]
        == EpisodeStore(tmp_path / "b").attributes(report.imported[0])["group_id"]
    )


def test_what_nobody_knows_is_left_out(tmp_path: Path) -> None:
    source = np.array([0, 0, 0, ActionSource.UNKNOWN, 2, 2], np.uint8)
    _, raw = exported(tmp_path, seen(action_source=source), curves=lambda: {"value": np.full(6, np.nan)})
    (step, *_) = opened(raw / "transitions_000000.pkl")
    assert not {"intervened", "vf_value_pred"} & set(step)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"images": {"wrist": sample_frames(6)}}, "has no camera third"),
        ({"proprio": None, "proprio_names": (), "proprio_units": ()}, "has steps without proprio"),
        ({"executed_action": None}, "has steps without executed_action"),
        ({"executed_action": np.full((6, 7), np.nan, np.float32)}, "has steps without executed_action"),
        ({"executed_action": np.zeros((6, 6), np.float32), "action_space": {}}, "has actions of 6 numbers and not 7"),
        ({"success": Outcome.UNKNOWN}, "has no known outcome"),
    ],
)
def test_what_the_contract_cannot_hold_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(DataRefused, match=told):
        exported(tmp_path, seen(**changes))
    assert not (tmp_path / "raw").exists()
