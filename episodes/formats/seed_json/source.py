"""The layout of the first write-up of UniIntervene: one JSON file an episode, frames as JPEG or PNG files beside it.

    {"task": ..., "instruction": ..., "success": true, "steps": [{"t": 0, "wrist_rgb": "frames/wrist_000000.jpg",
     "third_rgb": ..., "ee_pose": [x y z qx qy qz qw], "action": [...], "human_intervene": false}, ...]}

Frames are passed through byte for byte. `t` counts steps; the layout has no times, so `fps` of the file, `--fps` or
the usual 10 Hz makes them. `human_intervene` true is HUMAN, false is POLICY, absent is unknown. Of other keys of the
steps those are read that `meaning` knows and those that `fields` in the mapping names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from episodes.errors import DataRefused, EpisodeFormatError
from episodes.formats import endings, fields, meaning
from episodes.formats.mapping import FieldMapping
from episodes.formats.source import (
    LFS_POINTER,
    MEND,
    Clock,
    ImportMapping,
    camera_names,
    first_error,
    foreign_episode,
    inside,
    pack_foreign,
    placing,
    starts_with,
    tell_once,
)
from episodes.record import Array, EncodedFrames, Episode
from episodes.slug import slugify

USUAL_FPS = 10.0
_FRAME_SUFFIX = "_rgb"
_OWN: dict[Any, FieldMapping] = {
    "ee_pose": FieldMapping.model_validate({"from": "ee_pose", "unit": "m", "rotation": "xyzw"}),
    "executed_action": FieldMapping.model_validate("action"),
}
"""where the layout has what"""
_STEPS = re.compile(rb'"steps"\s*:\s*\[')


class SeedStep(pydantic.BaseModel):
    """One entry of `steps`; cameras are the extra keys that end in `_rgb`."""

    model_config = pydantic.ConfigDict(extra="allow", strict=True)

    t: int
    ee_pose: list[float] | None = None
    action: list[float] | None = None
    human_intervene: bool | None = None

    def frame_keys(self) -> dict[str, str]:
        """`<camera>_rgb` -> path of its frame at this step, relative to the JSON file"""
        extra = (self.model_extra or {}).items()
        return {k: v for k, v in extra if k.endswith(_FRAME_SUFFIX) and k != _FRAME_SUFFIX and isinstance(v, str)}


class SeedEpisode(pydantic.BaseModel):
    """The whole file."""

    model_config = pydantic.ConfigDict(extra="allow", strict=True)

    task: str | None = None
    """may be said at the import instead"""
    instruction: str = ""
    success: bool | None = None
    fps: pydantic.PositiveFloat | None = None
    steps: list[SeedStep] = pydantic.Field(min_length=1)


def detect(path: Path) -> bool:
    """True for a JSON file with `steps`, or a directory that has one."""
    return next(_episode_files(path), None) is not None


class SeedJson:
    """All episode files of a directory, or one of them."""

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        self.root = path if path.is_dir() else path.parent
        unfetched = {file for file in _json_files(path) if starts_with(file, LFS_POINTER)}
        self.names = [str(file.relative_to(self.root)) for file in sorted({*_episode_files(path), *unfetched})]
        self.warnings: list[str] = []
        self.endings = endings.Endings(mapping.fields.get("success"))
        self._mapping, self._fps = mapping, fps

    def close(self) -> None:
        """Nothing stays open."""

    def read(self, name: str) -> Episode:
        """The episode of one JSON file."""
        with placing(self.root.name, name):
            return self._episode(name, inside(self.root, name, episode=name, key="").read_bytes())

    def _episode(self, name: str, data: bytes) -> Episode:
        try:
            seed = SeedEpisode.model_validate_json(data)
        except pydantic.ValidationError as error:
            key, message = first_error(error)
            raise EpisodeFormatError(message, file=self.root.name, episode=name, key=key, remedy=MEND) from error
        columns, notes = _Columns(seed.steps, self.root.name, name), list[str]()
        said: dict[Any, FieldMapping] = self._mapping.fields
        own = {name: field for name, field in _OWN.items() if field.source[0] in columns}
        arrays = fields.arrays_of(own | said, columns.__getitem__, notes)
        actors = meaning.actors(columns, len(seed.steps), said.get("intervention"))
        whole = {} if seed.success is None else {"success": seed.success}
        ended = self.endings.of(columns, whole)
        clock = Clock.choose(self._fps, seed.fps, USUAL_FPS)
        images = self._images(name, seed)
        tell_once(self.warnings, [*self._notes(seed, clock), actors.warning, *notes])
        times = clock.times(len(seed.steps), said.get("time"), columns.__getitem__)
        if "time" not in said:
            times["time_s"] = (columns["t"] - columns["t"][0]) / clock.fps
        wording = said.get("instruction")
        return foreign_episode(
            "" if seed.task is None else slugify(seed.task),
            actors.source,
            ended,
            images,
            instruction=meaning.instruction(wording, columns.__getitem__) if wording else seed.instruction,
            source_format="seed_json",
            source_uri=f"{self.root.name}/{name}",
            source_sha256=sha256(data).hexdigest(),
            **times,
            **arrays,
        )

    def _images(self, name: str, seed: SeedEpisode) -> dict[str, EncodedFrames]:
        steps = [step.frame_keys() for step in seed.steps]
        short = {key: key.removesuffix(_FRAME_SUFFIX) for key in sorted(set().union(*steps))}
        named = camera_names(short, self._mapping, self.root.name, name)
        places = {key: [step.get(key, "") for step in steps] for key in short}
        return {
            named[key]: pack_foreign(
                self._frames(name, steps, key), file=self.root.name, episode=name, key=key, places=places[key]
            )
            for key in short
        }

    def _frames(self, name: str, steps: list[dict[str, str]], camera: str) -> Iterator[bytes]:
        folder = Path(name).parent
        for t, frames in enumerate(steps):
            key = f"steps.{t}.{camera}"
            if camera not in frames:
                what = f"step {t} has no frame of this camera"
                raise EpisodeFormatError(what, file=self.root.name, episode=name, key=key, remedy=MEND)
            yield inside(self.root, str(folder / frames[camera]), episode=name, key=key).read_bytes()

    def _notes(self, seed: SeedEpisode, clock: Clock) -> list[str]:
        used = {key for said in self._mapping.fields.values() for key in said.source}
        extra = {key for step in seed.steps for key in (step.model_extra or {}) if key not in step.frame_keys()} - used
        extra = {key for key in extra if not meaning.says_who_acts(key) and not endings.says_how_it_ended(key)}
        notes = [] if "time" in self._mapping.fields else clock.warning(self._fps)
        notes += [f"not kept: {', '.join(sorted(extra))} of the steps"] if extra else []
        flags = {step.human_intervene for step in seed.steps}
        if flags == {False}:
            notes.append(
                "action_source: human_intervene is false at every step of an episode and is read as: the policy acted; "
                "where a person drove, say so with action_source in the mapping"
            )
        return notes


class _Columns(Mapping[str, Array]):
    """What the steps say, by its key: (T,) or (T, n) numbers, or (T,) flags or text; frames are not among it."""

    def __init__(self, steps: list[SeedStep], file: str, episode: str) -> None:
        self._steps = [{k: v for k, v in step if v is not None and k not in step.frame_keys()} for step in steps]
        self._keys = dict.fromkeys(key for step in self._steps for key in step)
        self._file, self._episode = file, episode

    def __getitem__(self, key: str) -> Array:
        if key not in self._keys:
            raise DataRefused(f"the steps have no {key!r}, of {', '.join(self._keys)}; mend the mapping")
        values: list[Any] = [step.get(key) for step in self._steps]
        try:
            shapes = [(0,) if value is None else np.shape(value) for value in values]
        except ValueError as error:
            raise self._refusal(f"{key} holds lists of several lengths", f"steps.0.{key}") from error
        odd = next((t for t, shape in enumerate(shapes) if 0 in shape or shape != shapes[0]), None)
        if odd is not None:
            raise self._refusal(f"step {odd} has no {key}, or one of another length", f"steps.{odd}.{key}")
        found = np.array(values)
        if found.dtype.kind not in "biufU":
            raise self._refusal(f"{key} is neither numbers nor text", f"steps.0.{key}")
        return found if found.dtype.kind in "bU" else found.astype(np.float64)

    def _refusal(self, what: str, key: str) -> EpisodeFormatError:
        return EpisodeFormatError(what, file=self._file, episode=self._episode, key=key, remedy=MEND)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _episode_files(path: Path) -> Iterator[Path]:
    """JSON files with a list of `steps`, cut off ones too, in name order; other JSON lies about in any dataset."""
    return (file for file in _json_files(path) if _STEPS.search(file.read_bytes()))


def _json_files(path: Path) -> Iterator[Path]:
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    return (file for file in files if file.suffix == ".json" and file.is_file())
