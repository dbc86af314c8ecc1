"""Out to robomimic's HDF5: `data/demo_N/{obs, actions, rewards, dones}`, with the split as filter keys in `mask/`.

`obs` holds `proprio`, `robot0_eef_pos` and `robot0_eef_quat` (xyzw), `wrench`, and `<camera>_image` as decoded uint8
(T, H, W, 3), compressed without loss: pixels are kept, JPEG bytes are not. `rewards` is what was recorded; where
nothing was and the outcome is known, 1 at the last step of a success and 0 elsewhere (attribute `rewards_derivation`);
where neither is known there is none. `dones` is 1 at the last step. There is no `next_obs`. What robomimic has no name
for is in `regrasp/` of each demonstration, which robomimic passes over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from episodes.errors import DataRefused
from episodes.formats import losses, note
from episodes.formats.exporting import Leaving, rate_of
from episodes.images import decode
from episodes.layout import stored_arrays
from episodes.record import Array, EncodedFrames, Episode, Outcome

FILTER_KEYS = {"train": "train", "validation": "valid", "calibration": "calibration", "test": "test"}
"""our split -> robomimic's name of it"""
GYM = 2
"""robomimic's number for an environment that is none of its own"""


class RobomimicWriter:
    """One HDF5 file, written demonstration by demonstration."""

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path, "w", libver=("earliest", "v110"))
        self._data = self._file.create_group("data")
        self._masks: dict[str, list[bytes]] = {}
        self._tasks: set[str] = set()
        self._count, self._steps, self._fps = 0, 0, 0.0

    def add(self, leaving: Leaving, episode: Episode) -> None:
        """Append one demonstration; `DataRefused` where there are no actions, which robomimic cannot do without."""
        if episode.executed_action is None:
            what = f"episode {leaving.episode_id} has no executed action, and robomimic reads none without"
            raise DataRefused(f"{what}; choose with --task or --session")
        name = f"demo_{self._count}"
        demo = self._data.create_group(name)
        demo.attrs["num_samples"] = len(episode)
        demo["actions"] = np.asarray(episode.executed_action, np.float32)
        demo["dones"] = _at_the_end(len(episode), np.int64)
        rewards, derivation = _rewards(episode)
        if rewards is not None:
            demo["rewards"] = rewards
            demo["rewards"].attrs["rewards_derivation"] = derivation
        _write_observations(demo.create_group("obs"), episode)
        _write_rest(demo.create_group(note.KEY), leaving, episode)
        if leaving.split:
            self._masks.setdefault(FILTER_KEYS[leaving.split], []).append(name.encode())
        self._tasks.add(episode.task)
        self._count, self._steps, self._fps = self._count + 1, self._steps + len(episode), self._fps or rate_of(episode)

    def lost(self, leaving: Leaving, episode: Episode) -> Iterator[losses.Loss]:
        """Pixels stay; the file has one rate for whoever passes our own group over."""
        yield from losses.of_arrays(episode, lost=("depth", "robot_stream"))
        yield from losses.of_pixels(episode, tuple(episode.images))
        if (fps := rate_of(episode)) != self._fps:
            yield f"rates for other programs, to whom the file says {self._fps:g} Hz", f"{fps:g} Hz"

    def finish(self) -> None:
        """Write what tells of all demonstrations, and close the file."""
        kwargs = {"control_freq": self._fps}
        environment = {"env_name": ",".join(sorted(self._tasks)), "type": GYM, "env_kwargs": kwargs}
        self._data.attrs["total"] = self._steps
        self._data.attrs["env_args"] = json.dumps(environment)
        for key, names in self._masks.items():
            self._file[f"mask/{key}"] = np.array(names)
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _write_observations(obs: h5py.Group, episode: Episode) -> None:
    if episode.proprio is not None:
        obs["proprio"] = np.asarray(episode.proprio, np.float32)
    if episode.ee_pose is not None:
        obs["robot0_eef_pos"], obs["robot0_eef_quat"] = np.split(np.asarray(episode.ee_pose, np.float64), [3], axis=1)
    if episode.wrench is not None:
        obs["wrench"] = np.asarray(episode.wrench, np.float32)
    for camera, frames in episode.images.items():
        _write_pixels(obs, f"{camera}_image", frames)


def _write_pixels(obs: h5py.Group, name: str, frames: EncodedFrames) -> None:
    """Decoded frames, one chunk each: memory holds one."""
    shape = (frames.height_px, frames.width_px, 3)
    chunks = {"chunks": (1, *shape), "compression": "gzip", "compression_opts": 1}
    pixels = obs.create_dataset(name, (len(frames), *shape), np.uint8, **chunks)
    for t in range(len(frames)):
        pixels[t] = decode(frames.frame(t), frames.codec)


def _write_rest(group: h5py.Group, leaving: Leaving, episode: Episode) -> None:
    """Arrays as our own files have them, the curves, and the note."""
    for path, array in stored_arrays(episode).items():
        if path in ("time_s", "reward") or (path.startswith("action/") and path != "action/executed"):
            group[path] = array
    for curve, values in leaving.curves().items():
        group[f"curves/{curve}"] = np.asarray(values, np.float32)
    group["note"] = np.bytes_(note.note_of(episode).encode())


def _rewards(episode: Episode) -> tuple[Array | None, str]:
    if episode.reward is not None:
        return np.asarray(episode.reward, np.float32), "recorded"
    if episode.success is Outcome.UNKNOWN:
        return None, ""
    success = episode.success is Outcome.SUCCESS
    return _at_the_end(len(episode), np.float32) * np.float32(success), "outcome"


def _at_the_end(length: int, dtype: type) -> Array:
    steps: Array = np.zeros(length, dtype)
    steps[-1] = 1
    return steps
