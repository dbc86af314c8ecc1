"""RLDS datasets as TensorFlow Datasets stores them: `features.json`, `dataset_info.json`, TFRecord shards.

One record is one episode: `steps/<feature>` has the values of all steps one after the other. `action` is the executed
action; `observation/state` is the proprioception, or without it all observation vectors side by side in name order;
JPEG and PNG frames are passed through. The format has no step rate. A reward says nothing of the outcome; by RLDS's own
words the action of a step with `is_last` has no meaning, and it is kept as it is.
"""

from __future__ import annotations

import json
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from episodes.errors import DataRefused, EpisodeFormatError
from episodes.formats import endings, fields, meaning
from episodes.formats.mapping import FieldMapping, line_of
from episodes.formats.rlds.record import INSTRUCTIONS, Leaf, Record, leaves_of
from episodes.formats.rlds.tfrecord import Index, index, parse_example, read_record
from episodes.formats.source import (
    Clock,
    ImportMapping,
    camera_names,
    first_error,
    foreign_episode,
    inside,
    pack_foreign,
    placing,
    sha256_of,
    starts_with,
    tell_once,
)
from episodes.record import Episode
from episodes.slug import slugify

USUAL_FPS = 10.0
"""the middle of what the datasets of Open X-Embodiment are recorded at, 3 to 30 Hz"""
_SHARD = re.compile(r"(?P<start>.+-(?P<split>[^-]+)\.tfrecord-)(?P<shard>\d{5})-of-(?P<shards>\d{5})")
_FLAGS = {"is_first", "is_last", "is_terminal"}
_COPY = "copy the dataset again, whole"
_GZIP = b"\x1f\x8b"


def detect(path: Path) -> bool:
    """True for a directory with `features.json` or TFRecord files, itself or below, or one of those files."""
    return bool(_files(path)) or (path.is_dir() and (_home(path) / "features.json").is_file())


class Rlds:
    """The shards of one dataset and version, or one of them."""

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        self.root, self._mapping = _home(path), mapping
        self._clock = Clock.choose(fps, None, USUAL_FPS)
        self._leaves = _leaves(self.root)
        self._info = _info(self.root)
        files = _files(path)
        if not files:
            raise EpisodeFormatError("there are no TFRecord files in it", file=path.name, remedy=_COPY)
        self._spans: dict[str, tuple[str, tuple[int, int]]] = {}
        self._damaged: dict[str, EpisodeFormatError] = {}
        for file in files:
            self._enter(file.name)
        if path.is_dir():
            self._enter_missing({file.name for file in files})
        self.names = sorted([*self._spans, *self._damaged])
        self._sha256 = lru_cache(maxsize=1)(sha256_of)
        self.endings = endings.Endings(mapping.fields.get("success"))
        self.warnings = [] if "time" in mapping.fields else self._clock.warning(fps)
        self.warnings += _absent_splits(self._info, self.names) if path.is_dir() else []

    def close(self) -> None:
        """Nothing stays open."""

    def read(self, name: str) -> Episode:
        """The episode of one record, by `<shard>#<number>`."""
        file = name.partition("#")[0]
        if name in self._damaged:
            raise self._damaged[name]
        with placing(file, name):
            example = parse_example(read_record(inside(self.root, file, episode=name, key=""), self._spans[name][1]))
            return self._episode(name, Record(self._leaves, example))

    def _enter(self, file: str) -> None:
        """The records of a shard, and one more name for what is wrong with the rest of it."""
        try:
            path = inside(self.root, file, episode="", key="")
        except EpisodeFormatError as error:
            self._damaged[f"{file}#000000"] = error
            return
        found = Index((), "it is compressed: `gunzip` it") if starts_with(path, _GZIP) else index(path)
        for number, span in enumerate(found.spans):
            self._spans[f"{file}#{number:06d}"] = (file, span)
        declared = _declared_records(self._info, file)
        problem = found.problem
        if not problem and declared not in (None, len(found.spans)):
            problem = f"the file has {len(found.spans)} of {declared} records"
        if problem:
            self._refuse(file, len(found.spans), f"{problem}; what follows is lost")

    def _enter_missing(self, there: set[str]) -> None:
        """One name for each shard that is missing beside others of its split."""
        for start, shards in {(m["start"], m["shards"]) for file in there if (m := _SHARD.fullmatch(file))}:
            wanted = {f"{start}{shard:05d}-of-{shards}" for shard in range(int(shards))}
            for file in wanted - there:
                self._refuse(file, 0, "the shard is missing")

    def _refuse(self, file: str, number: int, what: str) -> None:
        name = f"{file}#{number:06d}"
        self._damaged[name] = EpisodeFormatError(what, file=file, episode=name, remedy=_COPY)

    def _episode(self, name: str, record: Record) -> Episode:
        said, guesses = self._mapping.fields, list[str]()
        asked = {**self._found(record), **said}
        arrays = fields.arrays_of(asked, record.step, guesses)
        actors = meaning.actors(record.flags, len(record), said.get("intervention"))
        ended = self.endings.of(record.flags, record.metadata)
        file = name.partition("#")[0]
        cameras = camera_names(
            {key: meaning.plain_name(key) for key in record.of_kind("image")}, self._mapping, file, name
        )
        images = {cameras[key]: pack_foreign(record.texts(key), file=file, episode=name, key=key) for key in cameras}
        instruction, notes = record.instruction(said.get("instruction"))
        tell_once(self.warnings, [*guesses, actors.warning, *notes, *self._lost(record, asked)])
        return foreign_episode(
            self._task,
            actors.source,
            ended,
            images,
            instruction=instruction,
            terminal=bool(np.any(record.flags.get("is_terminal", [0]))),
            source_format="rlds",
            source_uri=f"{self.root.resolve().name}/{name}",
            source_sha256=self._sha256(self.root / file),
            collected_by=record.provenance,
            **self._clock.times(len(record), said.get("time"), record.step),
            **arrays,
        )

    def _found(self, record: Record) -> dict[Any, FieldMapping]:
        """Where the fields of the record stand, by the names that RLDS gives them."""
        vectors = [key for key in record.of_kind("number") if key.startswith("observation/")]
        state = ["observation/state"] if "observation/state" in vectors else sorted(vectors)
        actions = [key for key in record.of_kind("number") if key == "action" or key.startswith("action/")]
        found: dict[str, list[str]] = {"proprio": state, "executed_action": actions, "reward": ["reward"]}
        if len(actions) > 1 and "executed_action" not in self._mapping.fields:
            what = f"the action is in {len(actions)} parts and their order is not known"
            remedy = f"say it in a mapping file (--mapping), such as {line_of('executed_action', actions)}"
            raise DataRefused(f"{what}; {remedy}")
        there = {name: keys for name, keys in found.items() if keys and all(record.has(key) for key in keys)}
        return {name: FieldMapping.model_validate({"from": keys}) for name, keys in there.items()}

    @cached_property
    def _task(self) -> str:
        return slugify(str(self._info.name or self.root.resolve().name))

    def _lost(self, record: Record, asked: dict[Any, FieldMapping]) -> list[str]:
        used = {key for field in asked.values() for key in field.source} | set(record.of_kind("image"))
        lost = sorted(key for key in record.steps if key not in used and not _is_bookkeeping(key))
        return [f"not kept: {', '.join(lost)} of the steps"] if lost else []


def _is_bookkeeping(key: str) -> bool:
    said = meaning.says_who_acts(key) or endings.says_how_it_ended(key)
    return said or key in _FLAGS | {"discount"} or meaning.plain_name(key) in INSTRUCTIONS


def _home(path: Path) -> Path:
    """The directory of `features.json`, or without one of the shards: a dataset's own, or the one version below it."""
    if path.is_file():
        return path.parent
    for name in ("features.json", "*.tfrecord*"):
        found = {file.parent for file in path.rglob(name)}
        if len(found) == 1:
            return found.pop()
    return path


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if ".tfrecord" in path.name else []
    return sorted(file for file in _home(path).iterdir() if ".tfrecord" in file.name and file.is_file())


class _Split(pydantic.BaseModel):
    name: str = ""
    shardLengths: list[int] = []


class _Info(pydantic.BaseModel):
    """What of `dataset_info.json` counts here."""

    name: str = ""
    splits: list[_Split] = []


def _info(root: Path) -> _Info:
    if not (root / "dataset_info.json").exists():
        return _Info()
    try:
        return _Info.model_validate(_json(root, "dataset_info.json"))
    except pydantic.ValidationError as error:
        key, message = first_error(error)
        file = f"{root.name}/dataset_info.json"
        raise EpisodeFormatError(message, file=file, key=key, remedy=_COPY) from error


def _leaves(root: Path) -> dict[str, Leaf]:
    try:
        return dict(leaves_of(_json(root, "features.json")))
    except (AttributeError, TypeError, ValueError, OverflowError) as error:  # an object where a list should be, ...
        what = f"these are no features of TensorFlow Datasets: {error}"
        raise EpisodeFormatError(what, file=f"{root.name}/features.json", remedy=_COPY) from error


def _declared_records(info: _Info, file: str) -> int | None:
    """How many records `dataset_info.json` promises for a shard."""
    found = _SHARD.fullmatch(file)
    for split in info.splits if found else []:
        if found and split.name == found["split"]:
            return split.shardLengths[shard] if (shard := int(found["shard"])) < len(split.shardLengths) else None
    return None


def _absent_splits(info: _Info, names: list[str]) -> list[str]:
    there = {found["split"] for name in names if (found := _SHARD.fullmatch(name.partition("#")[0]))}
    absent = sorted({split.name for split in info.splits} - there)
    return [f"not there: split {', '.join(absent)} of dataset_info.json"] if absent and there else []


def _json(root: Path, file: str) -> dict[str, Any]:
    try:
        found = json.loads(inside(root, file, episode="", key="").read_bytes())
    except (ValueError, RecursionError) as error:
        raise EpisodeFormatError(f"it is not JSON: {error}", file=f"{root.name}/{file}", remedy=_COPY) from error
    if not isinstance(found, dict):
        raise EpisodeFormatError("it is no JSON object", file=f"{root.name}/{file}", remedy=_COPY)
    return found
