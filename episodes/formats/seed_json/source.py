"""The layout of the first write-up of UniIntervene: one JSON file an episode, frames as JPEG or PNG files beside it.

    {"task": ..., "instruction": ..., "success": true, "steps": [{"t": 0, "wrist_rgb": "frames/wrist_000000.jpg",
     "third_rgb": ..., "ee_pose": [x y z qx qy qz qw], "action": [...], "human_intervene": false}, ...]}

Frames are passed through byte for byte. `t` counts steps; the layout has no times, so `fps` of the file, `--fps` or
the usual 10 Hz makes them. `human_intervene` true is HUMAN, false is POLICY, absent is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pydantic

from episodes.errors import EpisodeFormatError
from episodes.formats import meaning
from episodes.formats.source import (
    MEND,
    Clock,
    ImportMapping,
    camera_info,
    collection_of,
    first_error,
    inside,
    pack_foreign,
    tell_once,
)
from episodes.record import Array, EncodedFrames, Episode, Outcome
from episodes.slug import slugify

USUAL_FPS = 10.0
_FRAME_SUFFIX = "_rgb"
_FLAG = "human_intervene"
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
        self.names = [str(file.relative_to(self.root)) for file in _episode_files(path)]
        self.warnings: list[str] = []
        self._mapping, self._fps = mapping, fps

    def close(self) -> None:
        """Nothing stays open."""

    def read(self, name: str) -> Episode:
        """The episode of one JSON file."""
        data = inside(self.root, name, episode=name, key="").read_bytes()
        try:
            seed = SeedEpisode.model_validate_json(data)
        except pydantic.ValidationError as error:
            key, message = first_error(error)
            raise EpisodeFormatError(message, file=self.root.name, episode=name, key=key, remedy=MEND) from error
        clock = Clock.choose(self._fps, seed.fps, USUAL_FPS)
        self._note(seed, clock)
        return self._episode(name, seed, clock, sha256(data).hexdigest())

    def _episode(self, name: str, seed: SeedEpisode, clock: Clock, digest: str) -> Episode:
        task = "" if seed.task is None else slugify(seed.task)
        flags = self._column(name, seed, _FLAG)
        source = meaning.actors({} if flags is None else {_FLAG: flags}, len(seed.steps)).source
        counts = np.array([step.t for step in seed.steps], float)
        images = self._images(name, seed)
        return Episode(
            task=task,
            instruction=seed.instruction,
            session=task,
            time_s=(counts - counts[0]) / clock.fps,
            time_derivation=clock.derivation,
            fps=clock.fps,
            action_source=source,
            collection=collection_of(source),
            success={True: Outcome.SUCCESS, False: Outcome.FAILURE, None: Outcome.UNKNOWN}[seed.success],
            success_derivation="" if seed.success is None else "field success of the source",
            source_format="seed_json",
            source_uri=f"{self.root.name}/{name}",
            source_sha256=digest,
            ee_pose=self._column(name, seed, "ee_pose"),
            executed_action=self._column(name, seed, "action"),
            images=images,
            cameras=camera_info(images),
        )

    def _column(self, name: str, seed: SeedEpisode, key: str) -> Array | None:
        """One value of every step as an array; None where no step has it; half of it is refused."""
        values = [getattr(step, key) for step in seed.steps]
        if all(value is None for value in values):
            return None
        sizes = [value is not None and np.size(value) for value in values]
        odd = next((t for t, size in enumerate(sizes) if size is False or size != sizes[0]), None)
        if odd is not None:
            what = f"step {odd} has no {key}, or one of another length"
            raise EpisodeFormatError(what, file=self.root.name, episode=name, key=f"steps.{odd}.{key}", remedy=MEND)
        return np.array(values, bool if key == _FLAG else np.float64)

    def _images(self, name: str, seed: SeedEpisode) -> dict[str, EncodedFrames]:
        steps = [step.frame_keys() for step in seed.steps]
        cameras = sorted(key.removesuffix(_FRAME_SUFFIX) for key in set().union(*steps))
        return {
            self._mapping.cameras.get(camera, slugify(camera)): pack_foreign(
                self._frames(name, steps, camera), file=self.root.name, episode=name, key=camera + _FRAME_SUFFIX
            )
            for camera in cameras
        }

    def _frames(self, name: str, steps: list[dict[str, str]], camera: str) -> Iterator[bytes]:
        folder = Path(name).parent
        for t, frames in enumerate(steps):
            key = f"steps.{t}.{camera}{_FRAME_SUFFIX}"
            if camera + _FRAME_SUFFIX not in frames:
                what = f"step {t} has no frame of this camera"
                raise EpisodeFormatError(what, file=self.root.name, episode=name, key=key, remedy=MEND)
            yield inside(self.root, str(folder / frames[camera + _FRAME_SUFFIX]), episode=name, key=key).read_bytes()

    def _note(self, seed: SeedEpisode, clock: Clock) -> None:
        extra = {key for step in seed.steps for key in (step.model_extra or {}) if key not in step.frame_keys()}
        notes = clock.warning(self._fps)
        notes += [f"not kept: {', '.join(sorted(extra))} of the steps"] if extra else []
        flags = {step.human_intervene for step in seed.steps}
        if flags == {False}:
            notes.append(
                "action_source: human_intervene is false at every step of an episode and is read as: the policy acted; "
                "where a person drove, say so with action_source in the mapping"
            )
        tell_once(self.warnings, notes)


def _episode_files(path: Path) -> Iterator[Path]:
    """JSON files with a list of `steps`, cut off ones too, in name order; other JSON lies about in any dataset."""
    for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        if file.suffix == ".json" and file.is_file() and _STEPS.search(file.read_bytes()):
            yield file
