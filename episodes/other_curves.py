"""Curves of other models, taken in once and kept beside ours: `<root>/curves/<dataset>/<file's name>.parquet`.

In comes what LeRobot's reward models write into a dataset's folder (`sarm_progress.parquet` and its like: `index
episode_index frame_index`, with `progress_sparse`, `progress_dense` or both in 0..1, NaN at a frame where the model
failed), or our own columns `episode_id frame_index value`. Numbered episodes are found by the folder and number they
were imported from. Kept is `episode_id frame_index value`, and only of episodes that are here, whole. Nothing in a
workspace is made of these curves: they are there to be compared with.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from episodes.errors import DataRefused, EpisodeFormatError, UsageError
from episodes.slug import slugify
from episodes.store import EpisodeStore
from episodes.workspace import atomic_write, disk_errors

DIRECTORY = "curves"
PROGRESS = ("progress_sparse", "progress_dense")
AGAIN = "have the other model judge the dataset that was imported"


@dataclass(frozen=True, slots=True)
class CurvesReport:
    """What became of a file of curves."""

    names: tuple[str, ...]
    """what the curves are called here"""
    episodes: tuple[str, ...]
    """ids of those that have a curve now"""
    elsewhere: int
    """episodes of the file that are not in the workspace"""
    refused: tuple[EpisodeFormatError, ...]
    """one for each episode whose steps the file does not have"""


def holds_curves(path: Path) -> bool:
    """True for a Parquet file of curves and nothing else; it is no dataset of episodes then."""
    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        columns = set(pl.read_parquet_schema(path))
    except (PolarsError, OSError):
        return False
    numbered = {"episode_index", "frame_index"} <= columns and columns & set(PROGRESS)
    return bool(numbered) or {"episode_id", "frame_index", "value"} <= columns


def import_curves(source: Path, root: Path, *, session: str | None = None, strict: bool = False) -> CurvesReport:
    """Take the curves of the file `source` into the workspace at `root`; the same file again replaces them.

    `session` says whose numbers these are, where the file does not lie in the dataset's folder. Raises
    `EpisodeFormatError` where none of its episodes is here, or none of them whole; with `strict`, where one is not.
    """
    store, table = EpisodeStore(root), _read(source)
    theirs: Mapping[object, list[str]] = _numbered(store, source, session)
    if "episode_id" in table.columns:
        theirs = {name: [name] for name in store.ids(session)}
    whole: dict[str, pl.DataFrame] = {}
    refused, elsewhere = [], 0
    for (number,), rows in table.group_by("episode", maintain_order=True):
        ids = theirs.get(number, [])
        elsewhere += not ids
        try:
            whole |= {episode_id: _whole(rows, store, episode_id) for episode_id in _one(ids, number)}
        except EpisodeFormatError as error:
            refused.append(_placed(error, source, number))
    if not whole or (strict and refused):
        raise refused[0] if refused else _nobody(source, session)
    names = tuple(_written(source, Path(root), whole))
    return CurvesReport(names, tuple(whole), elsewhere, tuple(refused))


def _read(source: Path) -> pl.DataFrame:
    """The rows, in the order of episode and frame, with the episode's name or number as `episode`."""
    try:
        table = pl.read_parquet(source)
    except (PolarsError, OSError) as error:
        remedy = "copy it again"
        raise EpisodeFormatError(f"no readable Parquet file ({error})", file=source.name, remedy=remedy) from error
    for name in ("frame_index", *_curves(table)):
        if not table[name].dtype.is_numeric():
            what = f"{name} holds {table[name].dtype} and no numbers"
            raise EpisodeFormatError(what, file=source.name, key=name, remedy=AGAIN)
    named = "episode_id" if "episode_id" in table.columns else "episode_index"
    return table.with_columns(episode=pl.col(named)).sort("episode", "frame_index")


def _numbered(store: EpisodeStore, source: Path, session: str | None) -> dict[object, list[str]]:
    """number -> the episodes here that have it, of the LeRobot dataset `source` lies in or of `session`."""
    if session is not None and session not in store.sessions():
        raise UsageError(f"there is no session {session!r}; there are: {', '.join(store.sessions()) or 'none'}")
    folder = source.resolve().parent.name
    found: dict[object, list[str]] = {}
    for episode_id in store.ids(session):
        told = store.attributes(episode_id)
        file, _, number = str(told["source_uri"]).rpartition("#")
        same = session is not None or file.partition("/")[0] == folder
        if same and "lerobot" in str(told["source_format"]) and number.isdecimal():
            found.setdefault(int(number), []).append(episode_id)
    return found


def _one(ids: list[str], number: object) -> list[str]:
    if len(ids) > 1:
        what = f"{len(ids)} episodes here have the number {number} of that dataset, such as {ids[0]} and {ids[1]}"
        raise EpisodeFormatError(what, file="", remedy="say which session the curves are of with --session")
    return ids


def _whole(rows: pl.DataFrame, store: EpisodeStore, episode_id: str) -> pl.DataFrame:
    """The rows of one episode, which must be its steps, each once."""
    length = store.attributes(episode_id)["length"]
    if rows["frame_index"].to_list() != list(range(length)):
        what = f"the file has {len(rows)} frames of it and {episode_id} has steps 0 to {length - 1}"
        raise EpisodeFormatError(what, file="", key="frame_index", remedy=AGAIN)
    for name in _curves(rows):
        values = rows[name].cast(pl.Float64).to_numpy()
        if np.isinf(values).any() or np.isnan(values).all():
            raise EpisodeFormatError("the curve is infinite or NaN throughout", file="", key=name, remedy=AGAIN)
    return rows.with_columns(episode_id=pl.lit(episode_id))


def _curves(table: pl.DataFrame) -> list[str]:
    """The columns that are curves."""
    return ["value"] if "value" in table.columns else [name for name in PROGRESS if name in table.columns]


def _placed(error: EpisodeFormatError, source: Path, number: object) -> EpisodeFormatError:
    return EpisodeFormatError(error.what, file=source.name, episode=str(number), key=error.key, remedy=error.remedy)


def _nobody(source: Path, session: str | None) -> EpisodeFormatError:
    what = f"none of its episodes is in {f'the session {session}' if session else 'the workspace'}"
    remedy = "import the dataset first, with the file in its folder, or name its session with --session"
    return EpisodeFormatError(what, file=source.name, remedy=remedy)


def _written(source: Path, root: Path, whole: Mapping[str, pl.DataFrame]) -> Iterator[str]:
    """Write each curve of the file, the first by its name, another with what it is in addition; yield their names."""
    rows = pl.concat(whole.values())
    place = root / DIRECTORY / slugify(source.resolve().parent.name)
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        for number, column in enumerate(_curves(rows)):
            name = slugify(source.stem) + (f"_{column.removeprefix('progress_')}" if number else "")
            packed = io.BytesIO()
            rows.select("episode_id", "frame_index", value=pl.col(column).cast(pl.Float64)).write_parquet(packed)
            atomic_write(place / f"{name}.parquet", packed.getvalue())
            yield name


def read_curves(path: Path) -> pl.DataFrame:
    """A file of the workspace's `curves/`; `DataRefused` where it is not what `import_curves` leaves."""
    try:
        table = pl.read_parquet(path)
    except (PolarsError, OSError) as error:
        raise DataRefused(f"{path} cannot be read as Parquet ({error}); remove it") from error
    if not {"episode_id", "frame_index", "value"} <= set(table.columns):
        raise DataRefused(f"{path} holds no curves as they are kept here; take it in with `regrasp import {path.name}`")
    return table.select("episode_id", "frame_index", "value")
