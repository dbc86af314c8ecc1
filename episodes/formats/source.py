"""What every reader of a foreign format gives, and the few decisions they share: time, actors, places of files.

A reader opens a dataset as a `Source`: its episodes have names and are read one at a time, so that one bad episode
stops nothing and memory holds one episode.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pydantic

from episodes.errors import DataRefused, EpisodeFormatError, UsageError
from episodes.formats.endings import Endings
from episodes.formats.fields import stamps_of
from episodes.formats.mapping import FieldMapping, TableMapping, Target
from episodes.images import inspect
from episodes.record import (
    ActionSource,
    Array,
    CameraInfo,
    Collection,
    EncodedFrames,
    Episode,
    Outcome,
    TimeDerivation,
)
from episodes.slug import slugify

MEND = "mend the source, or import without this episode"
LFS_POINTER = b"version https://git-lfs"
"""the first bytes of the text that stands for a file which Git LFS has not fetched"""


class Source(Protocol):
    """An opened dataset. `read` raises `EpisodeFormatError` for an episode that is not what the format says."""

    names: list[str]
    """the episodes, in the order of the source"""
    warnings: list[str]
    """what a person should know of the whole dataset; complete once all episodes were read"""
    endings: Endings
    """how the episodes ended, and what is to be said of that"""

    def read(self, name: str) -> Episode: ...
    def close(self) -> None: ...


class ImportMapping(pydantic.BaseModel):
    """What the person who imports says about the data. It wins over what the files say."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    instruction: str | None = None
    robot: str | None = None
    collection: Collection | None = None
    action_source: str | None = None
    """who acted at every step: policy, recovery, human or hold"""
    action_space: dict[str, Any] | None = None
    """names, units, frame, limits"""
    cameras: dict[str, str] = {}
    """camera of the source -> name here"""
    success: Literal["success", "failure", "unknown"] | None = None
    """how every episode ended"""
    fields: dict[Target, FieldMapping] = {}
    """field of the record -> where it stands in the source"""
    table: TableMapping = TableMapping()
    """how a text table is written"""
    steps: str | None = None
    """the topic of a ROS bag whose messages are the steps"""
    joints: tuple[str, ...] = ()
    """which joints of a ROS bag's joint states are the proprioception, in this order"""

    def decides(self, fps: float | None) -> set[str]:
        """The fields of `Episode` that the person decided, whatever an earlier export noted."""
        beside = {"time": ("time_s", "fps", "time_derivation"), "success": ("success_derivation",)}
        beside |= {"proprio": ("proprio_names", "proprio_units"), "wrench": ("wrench_attrs",)}
        beside |= {"executed_action": ("action_space",), "intervention": ("action_source",)}
        asked = [*self.fields, *(["time"] if fps is not None else [])]
        return {name for field in asked for name in (field, *beside.get(field, ()))}

    @pydantic.field_validator("action_source")
    @classmethod
    def _known_source(cls, name: str | None) -> str | None:
        if name is not None and name.upper() not in ActionSource.__members__:
            raise ValueError("is none of policy, recovery, human, hold, unknown")
        return name


@dataclass(frozen=True, slots=True)
class Clock:
    """The step rate of a dataset that has no recorded times."""

    fps: float
    derivation: TimeDerivation

    @classmethod
    def choose(cls, asked: float | None, declared: float | None, usual: float) -> Clock:
        """The rate the person asked for, else the one the source declares, else the format's usual one."""
        if asked is not None:
            return cls(asked, "assumed rate")
        return cls(declared, "declared rate") if declared else cls(usual, "assumed rate")

    def times(self, length: int, said: FieldMapping | None, column: Callable[[str], Array]) -> dict[str, Any]:
        """`time_s` of so many steps and how it is known: by the stamps that the mapping names, else by this rate."""
        if said is not None:
            return {"time_s": stamps_of(said, column), "time_derivation": "recorded", "fps": self.fps}
        return {"time_s": np.arange(length) / self.fps, "time_derivation": self.derivation, "fps": self.fps}

    def warning(self, asked: float | None) -> list[str]:
        """What to say where the rate is the format's usual one."""
        if self.derivation != "assumed rate" or asked is not None:
            return []
        return [
            f"time: the source gives none, so {self.fps:g} steps a second are assumed; give the true rate with --fps"
        ]


def check_fps(fps: float | None) -> float | None:
    """`fps`, or `UsageError` where it is no rate."""
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"--fps {fps:g} is not a step rate; give steps per second above zero")
    return fps


def read_mapping(mapping: Mapping[str, Any] | str | Path | None) -> ImportMapping:
    """The mapping from a dict, a TOML or JSON file, or nothing; `UsageError` names the entry that cannot be right."""
    named = f"mapping {mapping}" if isinstance(mapping, (str, Path)) else "import mapping"
    try:
        if isinstance(mapping, (str, Path)):
            return _mapping_of(Path(mapping))
        return ImportMapping.model_validate(dict(mapping or {}))
    except OSError as error:
        raise UsageError(f"the {named} cannot be read ({error.strerror}); check its path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the {named} is no TOML ({error}); mend it there") from error
    except pydantic.ValidationError as error:
        key, message = first_error(error)
        known = ", ".join(ImportMapping.model_fields)
        if not key:
            raise UsageError(f"the {named} is no object of JSON ({message}); mend it there") from error
        raise UsageError(f"the {named} is wrong at {key!r} ({message}); it may hold {known}") from error


def _mapping_of(path: Path) -> ImportMapping:
    if path.suffix not in (".toml", ".json"):
        raise UsageError(f"the mapping {path} is neither .toml nor .json; write it as one of them")
    data = path.read_bytes()
    if path.suffix == ".toml":
        return ImportMapping.model_validate(tomllib.loads(data.decode()))
    return ImportMapping.model_validate_json(data)


@contextmanager
def placing(file: str, episode: str) -> Iterator[None]:
    """Say with the place where it is what is wrong with the values of an episode: `DataRefused` knows only what."""
    try:
        yield
    except EpisodeFormatError:
        raise
    except DataRefused as error:
        what, _, remedy = str(error).rpartition("; ")
        what, remedy = (what, remedy) if what else (remedy, MEND)
        raise EpisodeFormatError(what, file=file, episode=episode, remedy=remedy) from error


def tell_once(warnings: list[str], told: Iterable[str]) -> None:
    """Add to `warnings` what is not among them yet; "" says nothing."""
    warnings += [one for one in dict.fromkeys(told) if one and one not in warnings]


def first_error(error: pydantic.ValidationError) -> tuple[str, str]:
    """Where and what the first complaint of pydantic is: ("steps.3.action", "Field required")."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


def sources_from_flags(flags: Array) -> Array:
    """(T,) action sources of a flag "a person intervenes at this step": true is HUMAN, false is POLICY."""
    return np.where(flags, ActionSource.HUMAN, ActionSource.POLICY).astype(np.uint8)


def pack_foreign(
    frames: Iterable[bytes], *, file: str, episode: str, key: str, places: Sequence[str] = ()
) -> EncodedFrames:
    """Compressed frames as they are, each decoded once to know that it can be; all of one codec and size.

    `places` are the files of the frames, where each has one.
    """
    kept: list[bytes] = []
    seen = None
    for t, data in enumerate(frames):
        try:
            found = inspect(data)
        except DataRefused as error:
            what, _, remedy = str(error).rpartition("; ")
            what = f"frame {t}{f' ({places[t]})' if places else ''}: {what}"
            raise EpisodeFormatError(what, file=file, episode=episode, key=key, remedy=remedy) from error
        if seen is not None and seen != found:
            one, other = (f"{codec} of {width} x {height} pixels" for codec, height, width in (found, seen))
            what = f"frame {t} is {one} and the frames before are {other}"
            raise EpisodeFormatError(what, file=file, episode=episode, key=key, remedy=MEND)
        seen = found
        kept.append(data)
    if seen is None:
        raise EpisodeFormatError("a camera without frames", file=file, episode=episode, key=key, remedy=MEND)
    return EncodedFrames.pack(kept, *seen)


def camera_names(short: Mapping[str, str], mapping: ImportMapping, file: str, episode: str = "") -> dict[str, str]:
    """What each camera of the source is called here, from its short name there; two may not get one name."""
    named = {key: mapping.cameras.get(key, mapping.cameras.get(name, slugify(name))) for key, name in short.items()}
    taken: dict[str, str] = {}
    for key, name in named.items():
        if taken.setdefault(name, key) != key:
            what = f"{taken[name]} and {key} would both be camera {name}"
            remedy = "name them with cameras in the mapping"
            raise EpisodeFormatError(what, file=file, episode=episode, key=key, remedy=remedy)
    return named


def foreign_episode(
    task: str, actors: Array, ended: tuple[Outcome, str], images: Mapping[str, EncodedFrames], **known: Any
) -> Episode:
    """The episode that a reader found: who acted (T,), how it ended and who says so, its frames, and the rest.

    A person and something else in one episode make it a takeover; of anything else the actors say nothing.
    """
    taken_over = ActionSource.HUMAN in actors and len(np.unique(actors)) > 1
    cameras = {name: CameraInfo(height_px=f.height_px, width_px=f.width_px) for name, f in images.items()}
    known = {"collection": "takeover" if taken_over else "unknown", "cameras": cameras, "images": images, **known}
    success, derivation = ended
    return Episode(
        task=task, session=task, action_source=actors, success=success, success_derivation=derivation, **known
    )


def starts_with(path: Path, magic: bytes) -> bool:
    """True for a file whose first bytes are `magic`."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def inside(root: Path, relative: str, *, episode: str, key: str) -> Path:
    """The file `relative` of the dataset at `root`, all there; a path or link that leaves the dataset is refused."""
    what, remedy = "", "copy the dataset again, whole"
    try:
        path = (root / relative).resolve()
        if not path.is_relative_to(root.resolve()):
            what, remedy = f"{relative!r} leads out of the dataset", "copy what it leads to into the dataset (`cp -rL`)"
        elif not path.is_file():
            what = f"the file {relative!r} is missing"
        elif starts_with(path, LFS_POINTER):
            what, remedy = f"{relative!r} is a Git LFS pointer and not the data", "run `git lfs pull` in the dataset"
    except (OSError, ValueError, RuntimeError) as error:  # too long, not allowed, a zero byte, links in a circle
        what = f"{relative[:200]!r} cannot be opened: {error}"
    if what:
        raise EpisodeFormatError(what, file=root.name, episode=episode, key=key, remedy=remedy)
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file does: its size, the time of its last change, and which file it is."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


@contextmanager
def unchanging(path: Path, *, episode: str, since: tuple[int, int, int] | None = None) -> Iterator[None]:
    """Refuse what was read of a file that changed meanwhile: it may be half of the old and half of the new."""
    before = stamp(path) if since is None else since
    yield
    if stamp(path) != before:
        what, remedy = "the file changed while it was read", "import again once nothing writes to it"
        raise EpisodeFormatError(what, file=path.name, episode=episode, remedy=remedy)
