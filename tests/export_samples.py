"""Episodes that go out and come back, and what tells one from the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from episode_samples import sample_frames

from episodes.formats import import_dataset
from episodes.formats.exporting import ExportReport, Leaving, export_dataset
from episodes.record import EncodedFrames, Episode
from episodes.store import EpisodeStore

NOT_OF_THE_DATA = {"session", "source_format", "source_uri", "source_sha256"}
"""an import says its own"""
BRIDGE = Path(__file__).parent / "data" / "lerobot_v30_bridge"
SEED = Path(__file__).parent / "data" / "seed_json"
DEMO = {"collection": "demo", "policy_action": None, "policy_id": None, "action_source": np.full(6, 2, np.uint8)}
SPARSE = {"proprio": None, "wrench": None, "ee_pose": None, "human_action": None, "raw_action": None, "reward": None}


def stored(root: Path, *episodes: Episode) -> EpisodeStore:
    store = EpisodeStore(root)
    for episode in episodes:
        store.write(episode)
    return store


def export(store: EpisodeStore, destination: Path, format: str, **known: Any) -> ExportReport:
    leaving = [Leaving(episode_id=episode_id, **known) for episode_id in store.ids()]
    return export_dataset(store, destination, leaving, format=format)


def there_and_back(tmp_path: Path, format: str, *episodes: Episode, **how: Any) -> list[tuple[Episode, Episode]]:
    """(before, after) of each episode, in the order of their ids; `how` it is imported."""
    store = stored(tmp_path / "a", *episodes)
    out = tmp_path / ("out.hdf5" if format == "robomimic" else "out")
    export(store, out, format)
    report = import_dataset(out, tmp_path / "b", **how)
    assert report.quarantined == ()
    back = EpisodeStore(tmp_path / "b")
    ids = [*report.imported, *report.duplicates]
    return [(store.read(before), back.read(after)) for before, after in zip(store.ids(), ids, strict=True)]


def both() -> dict[str, EncodedFrames]:
    """Frames of the two cameras that UniIntervene knows."""
    return {"wrist": sample_frames(6), "third": sample_frames(6, seed=9)}


def differing(before: Episode, after: Episode) -> set[str]:
    """The fields that are not the same, bit by bit."""
    names = {field.name for field in fields(Episode)} - NOT_OF_THE_DATA
    return {name for name in names if not same(getattr(before, name), getattr(after, name))}


def same(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if one is None or two is None:
        return one is two
    if hasattr(one, "offsets") and hasattr(two, "offsets"):
        return one.codec == two.codec and same(one.data, two.data) and same(one.offsets, two.offsets)
    return bool(one == two)
