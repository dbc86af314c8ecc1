"""robomimic's processed HDF5: `data/demo_N/{obs, actions, rewards, dones}`, as robomimic makes them and we export them.

Pictures (uint8, T x H x W x 3) among the observations become PNG without loss; all other observations side by side, in
name order, are the proprioception; `robot0_eef_pos` and `robot0_eef_quat` (xyzw) are also the pose. No outcome is taken
from rewards, no actor from anything: the files do not say. What our own export put beside it is read back as it was.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from episodes.formats import note
from episodes.formats.hdf5.datasets import Datasets, attribute, first_has, member
from episodes.formats.hdf5.robosuite import RobosuiteHdf5
from episodes.formats.source import tell_once
from episodes.layout import ARRAY_FIELDS
from episodes.record import Episode

_PICTURES = ("_image", "_rgb")
_POSE = ("obs/robot0_eef_pos", "obs/robot0_eef_quat")


def detect(path: Path) -> bool:
    """True where the first demonstration of the first HDF5 file has observations."""
    return first_has(path, _has_observations)


class RobomimicHdf5(RobosuiteHdf5):
    """All demonstrations of one file, or of the HDF5 files of one directory."""

    source_format = "robomimic_hdf5"
    observations = "obs/"

    def _observed(self, data: Datasets) -> dict[str, Any]:
        count = attribute(data.group, "num_samples")
        if count is not None and data.has("actions") and len(data.at("actions")) != count:
            raise data.refusal(f"{len(data.at('actions'))} actions for {count} samples", "num_samples")
        there = [key for key in data.names() if key.startswith("obs/")]
        pictures = {key: _camera(key) for key in there if _is_picture(key, data.at(key))}
        low = [key for key in there if key not in pictures and _is_vector(data.at(key))]
        fields: dict[str, Any] = {"executed_action": ["actions"]}
        fields |= {"proprio": low} if low else {}
        fields |= {"reward": ["rewards"]} if data.has("rewards") else {}
        if set(_POSE) <= set(low):
            fields["ee_pose"] = {"from": _POSE, "rotation": "xyzw", "unit": "m"}
        return {"fields": fields, "cameras": pictures, "passed_over": ("dones", note.KEY)}

    def _completed(self, episode: Episode, data: Datasets) -> Episode:
        own = member(data.group, note.KEY)
        return self._as_it_was(episode, own, data) if isinstance(own, h5py.Group) else episode

    def _as_it_was(self, episode: Episode, own: h5py.Group, data: Datasets) -> Episode:
        """An episode that we exported: its observations by their names, its other arrays, its note."""
        kept = Datasets(own, data.file, data.episode)
        arrays: dict[str, Any] = {field.name: kept.array(field.path) for field in ARRAY_FIELDS if kept.has(field.path)}
        arrays |= {"proprio": data.array("obs/proprio"), "wrench": data.array("obs/wrench"), "proprio_names": ()}
        arrays.setdefault("reward", None)  # the outcome written as a reward is not one that was recorded
        ids = kept.array("action/policy_id")
        if ids is not None and np.asarray(ids).dtype.kind != "S":
            raise kept.refusal("the ids of the policy are no text", "action/policy_id")
        arrays |= {} if ids is None else {"policy_id": tuple(text.decode() for text in ids)}
        text = kept.array("note")
        said = "" if text is None else bytes(text).decode()
        decided = self._mapping.decides(self._fps)
        arrays = {name: array for name, array in arrays.items() if name not in decided}
        episode, warning = note.with_note(replace(episode, **arrays), said, decided=decided)
        tell_once(self.warnings, [warning])
        return episode


def _has_observations(file: h5py.File) -> bool:
    data = member(file, "data")
    first = next(map(str, data), None) if isinstance(data, h5py.Group) else None
    return first is not None and isinstance(member(data, f"{first}/obs"), h5py.Group)


def _camera(key: str) -> str:
    """The short name: "obs/agentview_image" -> "agentview"."""
    name = key.rpartition("/")[2]
    return next((name.removesuffix(end) for end in _PICTURES if name.endswith(end) and name != end), name)


def _is_picture(key: str, found: h5py.Dataset) -> bool:
    """By its name or its shape; one by its name alone is refused when it is read."""
    return bool(found.dtype == np.uint8 and (key.endswith(_PICTURES) or (found.ndim == 4 and found.shape[3] == 3)))


def _is_vector(found: h5py.Dataset) -> bool:
    return found.ndim in (1, 2) and 0 not in found.shape and found.dtype.kind in "fiub"
