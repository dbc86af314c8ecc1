"""The manifest of a release: what is in it, what it was made from, what it needs. Its SHA-256 is the version.

Canonical JSON (sorted keys, no spaces, UTF-8), so that equal content has equal bytes and an equal version.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from episodes.errors import DataRefused, IntegrityError
from episodes.slug import is_slug

MANIFEST = "manifest.json"
PARTS = ("value", "trigger", "memory", "recovery")
"""only valid together"""
OPTIONAL_PARTS = ("policy",)
SUFFIXES = (".json", ".npz", ".parquet", ".safetensors")
"""formats that cannot hold code"""
DIRECTORY_DIGITS = 16

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def inside_part(path: str) -> str:
    """`path` itself where it is `<part>/…/<name>` of plain names and an allowed suffix, else `ValueError`."""
    names = path.split("/")
    if len(names) < 2 or names[0] not in PARTS + OPTIONAL_PARTS or not all(map(_NAME.fullmatch, names)):
        raise ValueError(f"{path!r} is not a file inside one of the parts {', '.join(PARTS + OPTIONAL_PARTS)}")
    if not path.endswith(SUFFIXES):
        raise ValueError(f"{path!r} is none of {' '.join(SUFFIXES)}")
    return path


def _slug(text: str) -> str:
    if not is_slug(text):
        raise ValueError(f"{text!r} is not a slug")
    return text


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileEntry(_Entry):
    """One file of the bundle."""

    path: Annotated[str, AfterValidator(inside_part)]
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class FreezeRead(_Entry):
    """A freeze that a part was made with: published decisions of people, and the audit log's head in it."""

    name: str
    kind: Literal["episodes", "labels", "pairs"]
    hash: str
    head_seq: int
    head_hash: str
    count: int


class Parents(_Entry):
    """What the bundle was made from."""

    data_versions: dict[str, str] = {}
    """asset key -> data version"""
    episode_freeze: str | None = None
    label_freeze: str | None = None
    freezes: dict[str, FreezeRead] = Field(default={}, exclude_if=lambda freezes: not freezes)
    """kind -> the freeze of that kind; left out where there is none, as in manifests from before it was noted"""
    value_model: str = ""
    """hash of the value model"""


class Features(_Entry):
    """What the models read and write, by name; `gates.check` holds a robot against it."""

    proprio_names: tuple[str, ...]
    proprio_units: tuple[str, ...]
    cameras: tuple[str, ...] = ()
    image_px: int = Field(default=0, ge=0)
    """height and width of a frame; 0 without cameras"""
    fps: float = Field(gt=0)
    action_space: dict[str, JsonValue]
    """names, units, frame, limits, ... as the robot of the recordings declared it"""


class Manifest(_Entry):
    """`manifest.json` of a release."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    name: str
    kind: Literal["bundle"] = "bundle"
    task: Annotated[str, AfterValidator(_slug)]
    files: tuple[FileEntry, ...]
    created: str
    """ISO 8601 with time zone"""
    by: str = ""
    git_commit: str = ""
    parents: Parents
    features: Features
    evaluation: dict[str, JsonValue]
    robot_types: tuple[str, ...] = ()
    licence: str = ""

    @property
    def version(self) -> str:
        """64 hex digits: SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.canonical()).hexdigest()

    @property
    def directory(self) -> str:
        """Name of the release's directory: the first digits of its version."""
        return self.version[:DIRECTORY_DIGITS]

    def canonical(self) -> bytes:
        """The bytes of `manifest.json`."""
        return canonical(self.model_dump(mode="json", by_alias=True))


def canonical(content: Any) -> bytes:
    """`content` as canonical JSON."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def make_manifest(**fields: Any) -> Manifest:
    """A manifest from what a caller gives; `DataRefused` says which field cannot stand."""
    try:
        return Manifest(**fields)
    except ValidationError as error:
        raise DataRefused(f"the release cannot be described: {_first(error)}; correct what is given") from error


def parse_manifest(data: bytes, where: str) -> Manifest:
    """The manifest in `data`; `IntegrityError` where it is not one, or not in canonical form."""
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise IntegrityError(f"{where} is not a manifest ({_first(error)}); build the release again") from error
    if manifest.canonical() != data:
        raise IntegrityError(f"{where} is not in canonical form; build the release again")
    return manifest


def _first(error: ValidationError) -> str:
    defect = error.errors()[0]
    return f"{'.'.join(map(str, defect['loc']))}: {defect['msg']}"
