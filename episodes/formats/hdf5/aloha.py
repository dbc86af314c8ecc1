"""ALOHA's HDF5: one file an episode, `observations/{qpos, qvel, effort, images/<camera>}` and `action`.

`qpos`, `qvel` and `effort`, as far as they are there, are side by side the proprioception; `action`, with
`base_action` of a mobile base after it, is the executed action. Pictures become PNG without loss; JPEG bytes, which
newer recordings hold in rows filled up with zeros, are passed through. The file names no task, no outcome and no actor;
the step is 0.02 s in ALOHA's own code, which the file does not say.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from episodes.errors import EpisodeFormatError
from episodes.formats.hdf5.datasets import Datasets, Item, attribute, first_has, member
from episodes.formats.hdf5.source import Hdf5Source, Told

_STATE = ("observations/qpos", "observations/qvel", "observations/effort")
_ACTION = ("action", "base_action")
_IMAGES = "observations/images/"


def detect(path: Path) -> bool:
    """True where the first HDF5 file has joint positions or images among its observations, and an action."""
    return first_has(path, _is_aloha)


class AlohaHdf5(Hdf5Source):
    """One file, or the files of one directory, each an episode."""

    source_format = "aloha_hdf5"
    usual_fps = 50.0
    observations = "observations/"

    def _episodes_of(self, file: h5py.File, name: str) -> list[str]:
        if not _is_aloha(file):
            what, remedy = "there is no ALOHA episode in it", "leave --format away, or take the file out"
            raise EpisodeFormatError(what, file=name, key="observations", remedy=remedy)
        return [name]

    def _group(self, file: h5py.File, name: str) -> Item:
        return file

    def _told(self, file: h5py.File, data: Datasets) -> Told:
        fields = {"executed_action": _ACTION, "proprio": _STATE}
        there = {name: [key for key in keys if data.has(key)] for name, keys in fields.items()}
        sim = attribute(file, "sim")
        return Told(
            task=self.root.name,
            fields={name: keys for name, keys in there.items() if keys},
            cameras={k: k.removeprefix(_IMAGES) for k in data.names() if k.startswith(_IMAGES)},
            collected_by={} if sim is None else {"sim": bool(sim)},
            passed_over=("compress_len",),
        )


def _is_aloha(file: h5py.File) -> bool:
    there = any(member(file, path) is not None for path in ("observations/qpos", "observations/images"))
    return there and isinstance(member(file, "action"), h5py.Dataset)
