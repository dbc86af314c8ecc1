"""robomimic's processed HDF5: `data/demo_N/{obs, actions, rewards, dones}`, as robomimic makes them and we export them.

`<camera>_image` observations become PNG without loss; all other observations side by side, in name order, are the
proprioception; `robot0_eef_pos` and `robot0_eef_quat` (xyzw) are also the pose. No outcome is taken from rewards, no
actor from anything: the files do not say. What our own export put beside it is read back as it was.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from episodes.errors import EpisodeFormatError
from episodes.formats import note
from episodes.formats.robosuite_hdf5 import RobosuiteHdf5, files_of, member, opened
from episodes.formats.source import MEND, camera_info
from episodes.images import encode_png
from episodes.layout import ARRAY_FIELDS
from episodes.record import Array, EncodedFrames, Episode

_IMAGE = "_image"
_POSITION, _QUATERNION = "robot0_eef_pos", "robot0_eef_quat"


def detect(path: Path) -> bool:
    """True where the first demonstration of the first HDF5 file has observations."""
    for file in files_of(path)[:1]:
        try:
            with opened(file) as opened_file:
                data = member(opened_file, "data")
                first = next(iter(data), None) if isinstance(data, h5py.Group) else None
                return first is not None and isinstance(member(member(data, first), "obs"), h5py.Group)
        except EpisodeFormatError:
            return False  # the reader of raw demonstrations says what is wrong with the file
    return False


class RobomimicHdf5(RobosuiteHdf5):
    """All demonstrations of one file, or of the HDF5 files of one directory."""

    source_format = "robomimic_hdf5"
    kept = frozenset({"actions", "obs", "rewards", "dones", note.KEY})

    def read(self, name: str) -> Episode:
        """One demonstration, by `<file>#<group>`."""
        episode = replace(super().read(name), proprio=None)
        file_name, _, demo_name = name.partition("#")
        with opened(self.root / file_name, name) as file:
            demo = member(member(file, "data"), demo_name)
            own = member(demo, note.KEY)
            if isinstance(own, h5py.Group):
                return self._as_it_was(name, replace(episode, **self._observed(name, demo)), own)
            rewards = member(demo, "rewards")
            reward = {"reward": rewards[()]} if isinstance(rewards, h5py.Dataset) else {}
            return replace(episode, **self._observed(name, demo), **reward)

    def _observed(self, name: str, demo: h5py.Group | h5py.Dataset | None) -> dict[str, Any]:
        """What `obs` says, as fields of `Episode`."""
        obs = member(demo, "obs")
        found = {key: member(obs, key) for key in sorted(obs)} if isinstance(obs, h5py.Group) else {}
        arrays = {key: item for key, item in found.items() if isinstance(item, h5py.Dataset) and not item.is_virtual}
        pictures = {key: item for key, item in arrays.items() if key.endswith(_IMAGE) and item.dtype == np.uint8}
        low = {key: item[()] for key, item in arrays.items() if item.ndim == 2 and item.dtype.kind in "fiu"}
        images = {
            self._mapping.cameras.get(camera, camera): self._frames(name, key, item)
            for key, item in pictures.items()
            if (camera := key.removesuffix(_IMAGE))
        }
        parts: dict[str, Any] = {"images": images, "cameras": camera_info(images)}
        if {_POSITION, _QUATERNION} <= low.keys():
            parts["ee_pose"] = np.concatenate([low[_POSITION], low[_QUATERNION]], axis=1)
        if low:
            parts["proprio"] = np.concatenate([np.asarray(values, np.float32) for values in low.values()], axis=1)
            parts["proprio_names"] = tuple(f"{key}.{i}" for key, values in low.items() for i in range(values.shape[1]))
        return parts

    def _frames(self, name: str, key: str, pixels: h5py.Dataset) -> EncodedFrames:
        if pixels.ndim != 4 or pixels.shape[3] != 3:
            what = f"{key} is of shape {pixels.shape}, not (steps, height, width, 3)"
            raise EpisodeFormatError(what, file=name.partition("#")[0], episode=name, key=key, remedy=MEND)
        frames = [encode_png(pixels[t]) for t in range(len(pixels))]
        return EncodedFrames.pack(frames, "png", *pixels.shape[1:3])

    def _as_it_was(self, name: str, episode: Episode, own: h5py.Group) -> Episode:
        """An episode that we exported: its observations by their names, its other arrays, its note."""
        obs = own.parent["obs"]
        fields: dict[str, Any] = {field.name: _array(own, field.path) for field in ARRAY_FIELDS}
        fields = {key: values for key, values in fields.items() if values is not None}
        fields |= {key: _array(obs, key) for key in ("proprio", "wrench")} | {"proprio_names": ()}
        ids = _array(own, "action/policy_id")
        fields |= {} if ids is None else {"policy_id": tuple(text.decode() for text in ids)}
        text = _array(own, "note")
        said = "" if text is None else bytes(text).decode()
        if self._fps is not None:
            fields.pop("time_s", None)
        episode, warning = note.with_note(replace(episode, **fields), said, asked_fps=self._fps)
        self.warnings += [warning] if warning and warning not in self.warnings else []
        return episode


def _array(group: h5py.Group, path: str) -> Array | None:
    """An array below `group` that lies in this very file."""
    found: h5py.Group | h5py.Dataset | None = group
    for name in path.split("/"):
        found = member(found, name)
    return found[()] if isinstance(found, h5py.Dataset) and not found.is_virtual and not found.external else None
