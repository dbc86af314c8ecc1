"""Which formats come in and go out, and which of them a dataset has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from episodes.errors import EpisodeFormatError, UsageError

if TYPE_CHECKING:
    from episodes.formats.exporting import Leaving, Writer
    from episodes.formats.source import ImportMapping, Source
    from episodes.store import EpisodeStore


MANY = 30
"""folders that nobody has as many datasets in"""


def readers() -> dict[str, tuple[Callable[[Path], bool], Callable[[Path, ImportMapping, float | None], Source]]]:
    """Each format's detector and reader, in the order in which they are tried."""
    from episodes.formats.hdf5 import aloha, robomimic, robosuite
    from episodes.formats.lerobot import v2, v3
    from episodes.formats.pickles import source as pickles
    from episodes.formats.rlds import source as rlds
    from episodes.formats.ros1 import source as ros1
    from episodes.formats.seed_json import source as seed_json
    from episodes.formats.tables import source as tables

    return {
        "lerobot_v2": (v2.detect, v2.LeRobotV2),
        "lerobot_v3": (v3.detect, v3.LeRobotV3),
        "rlds": (rlds.detect, rlds.Rlds),
        "aloha_hdf5": (aloha.detect, aloha.AlohaHdf5),
        "robomimic_hdf5": (robomimic.detect, robomimic.RobomimicHdf5),
        "robosuite_hdf5": (robosuite.detect, robosuite.RobosuiteHdf5),
        "rosbag1": (ros1.detect, ros1.RosBag1),
        "seed_json": (seed_json.detect, seed_json.SeedJson),
        "columns": (tables.detect, tables.Columns),
        "transition_pickle": (pickles.detect, pickles.TransitionPickle),
    }


def writers() -> dict[str, Callable[[EpisodeStore, Path, Sequence[Leaving]], Writer]]:
    """What makes each format's dataset at a path, from the store and the episodes that will go out."""
    from episodes.formats.hdf5.robomimic_export import RobomimicWriter
    from episodes.formats.lerobot.export import LeRobotV3Writer
    from episodes.formats.pickles.export import UniInterveneWriter
    from episodes.formats.rerun_export import RerunWriter
    from episodes.formats.seed_json.export import SeedJsonWriter

    return {
        "lerobot-v3": LeRobotV3Writer,
        "robomimic": lambda store, path, episodes: RobomimicWriter(path),
        "seed-json": lambda store, path, episodes: SeedJsonWriter(path),
        "uniintervene": lambda store, path, episodes: UniInterveneWriter(path),
        "rerun": lambda store, path, episodes: RerunWriter(path),
    }


def detected(path: Path, mapping: ImportMapping) -> str:
    """The format of the dataset at `path`: a table where the mapping says how it is written, else the first that fits.

    `EpisodeFormatError` where none does.
    """
    from episodes.formats.mapping import TableMapping
    from episodes.formats.source import LFS_POINTER, starts_with

    if mapping.table != TableMapping():
        return "columns"
    found = _first(path)
    _one_dataset(path, found)
    if found:
        return found
    what = "no format is recognised"
    known = ", ".join(readers())
    remedy = f"give one of {known}, force one with --format, or describe a text table in a mapping file (--mapping)"
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    if pointer := next((file for file in files if starts_with(file, LFS_POINTER)), None):
        what, remedy = f"{pointer.name} is a Git LFS pointer and not the data", "run `git lfs pull` in the dataset"
    if path.is_file() and not path.stat().st_size:
        what, remedy = "the file is empty", "copy it again, whole"
    if any(starts_with(path, magic) for magic in (b"PK\3\4", b"\x1f\x8b", b"7z\xbc\xaf")):
        what, remedy = "this is an archive", "unpack it and give the folder"
    raise EpisodeFormatError(what, file=path.name, remedy=remedy)


def _first(path: Path) -> str | None:
    return next((name for name, (detect, _) in readers().items() if detect(path)), None)


def _one_dataset(path: Path, found: str | None) -> None:
    """`EpisodeFormatError` for a folder of datasets: all but the first would be passed over in silence."""
    folders = sorted(child for child in path.iterdir() if child.is_dir()) if path.is_dir() else []
    if len(folders) > MANY:  # episodes, not datasets
        return
    inside = {folder.name: name for folder in folders if (name := _first(folder)) not in (None, "columns")}
    if len(set(inside.values())) > 1 or (inside and found in (None, "columns")):
        named = ", ".join(f"{folder} ({name})" for folder, name in inside.items())
        raise EpisodeFormatError(f"datasets lie inside: {named}", file=path.name, remedy="import each by itself")


def open_dataset(path: Path, format: str, mapping: ImportMapping, fps: float | None) -> Source:
    """The dataset at `path` as one of `format`; `UsageError` for one there is not, or a mapping of another."""
    known = readers()
    if format not in known:
        raise UsageError(f"there is no format {format!r}; the formats are {', '.join(known)}")
    of_bags = [name for name in ("steps", "joints") if getattr(mapping, name)]
    not_of_bags = [f"fields.{name}" for name in ("time", "instruction") if name in mapping.fields]
    if unread := not_of_bags if format == "rosbag1" else of_bags:
        raise UsageError(f"{' and '.join(unread)} in the mapping means nothing for {format}; take it out")
    return known[format][1](path, mapping, fps)
