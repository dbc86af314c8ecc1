"""One record of an RLDS dataset: its features by the names and shapes that `features.json` gives them.

In a record the values of all steps stand one after the other, so every feature must have the same number of steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats import meaning
from episodes.formats.mapping import FieldMapping
from episodes.formats.rlds.tfrecord import Value
from episodes.record import Array

INSTRUCTIONS = ("language_instruction", "natural_language_instruction", "instruction")
_STEP, _METADATA = "steps/", "episode_metadata/"
_PLAIN = ("none", "ENCODING_UNSPECIFIED")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One feature of `features.json`."""

    kind: str
    """number, text, image or other"""
    shape: tuple[int, ...]


class Record:
    """The features of one episode, each checked to have as many values as the steps need."""

    def __init__(self, leaves: Mapping[str, Leaf], example: dict[str, Value]) -> None:
        self.steps = {k.removeprefix(_STEP): leaf for k, leaf in leaves.items() if k.startswith(_STEP) and k in example}
        self._example = example
        self._length = self._count()
        self.metadata = {
            key.removeprefix(_METADATA): example[key][0]
            for key, leaf in leaves.items()
            if key.startswith(_METADATA) and leaf.kind in ("number", "text") and len(example.get(key, ())) == 1
        }

    def __len__(self) -> int:
        return self._length

    def has(self, key: str) -> bool:
        return key in self.steps

    def of_kind(self, kind: str) -> list[str]:
        return [key for key, leaf in self.steps.items() if leaf.kind == kind]

    def step(self, key: str) -> Array:
        """(T,) or (T, n) numbers of a feature."""
        leaf = self.steps.get(key)
        values = self._example.get(_STEP + key)
        if leaf is None or leaf.kind != "number" or isinstance(values, list) or values is None:
            known = ", ".join(self.of_kind("number"))
            raise DataRefused(f"the steps have no numbers {key!r}; the numbers are {known}")
        return values.reshape(len(self), -1)

    def texts(self, key: str) -> list[bytes]:
        values = self._example.get(_STEP + key)
        return values if isinstance(values, list) else []

    @property
    def flags(self) -> dict[str, Any]:
        """What may say who acted or how it ended: one value a step, and texts."""
        numbers = {key: self.step(key) for key in self.of_kind("number")}
        texts = {key: np.array(self.texts(key)) for key in self.of_kind("text")}
        return {key: values for key, values in (numbers | texts).items() if values.size}

    @property
    def provenance(self) -> dict[str, Any]:
        """What the episode's metadata says, as JSON can hold it."""
        return {k: v.decode(errors="replace") if isinstance(v, bytes) else v.item() for k, v in self.metadata.items()}

    def instruction(self, said: FieldMapping | None) -> tuple[str, list[str]]:
        """The instruction, which is one for the episode, and a warning where it is not."""
        texts = self.of_kind("text")
        by_name = [key for name in INSTRUCTIONS for key in texts if meaning.plain_name(key) == name]
        key = said.source[0] if said else next(iter(by_name), None)
        values = self.texts(key) if key else []
        try:
            text = values[0].decode() if values else ""
        except UnicodeDecodeError as error:
            raise DataRefused(f"{key} is not UTF-8 at byte {error.start}; write it again as UTF-8") from error
        many = [f"instruction: {key} changes within an episode; the first is kept"] if len(set(values)) > 1 else []
        return text, many

    def _count(self) -> int:
        """The number of steps, which all features share."""
        counts = {key: len(self._example[_STEP + key]) / prod(leaf.shape) for key, leaf in self._sized()}
        if not counts:
            raise DataRefused("the record has no steps/ of features.json; export the dataset again")
        first = next(iter(counts))
        odd = next((key for key, count in counts.items() if count != counts[first]), None)
        if odd is not None or counts[first] != int(counts[first]):
            what = f"{odd or first} has {counts[odd or first]:g} steps where {first} has {counts[first]:g}"
            raise DataRefused(f"{what}; export the dataset again")
        return int(counts[first])

    def _sized(self) -> Iterator[tuple[str, Leaf]]:
        return ((k, leaf) for k, leaf in self.steps.items() if leaf.kind != "other" and prod(leaf.shape) > 0)


def leaves_of(node: Any, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """(path, feature) of every leaf of `features.json`."""
    if not isinstance(node, dict):
        return
    inner = node.get("sequence", {}).get("feature") if isinstance(node.get("sequence"), dict) else None
    if inner is not None and path == "steps":
        yield from leaves_of(inner, path)
    elif isinstance(node.get("featuresDict"), dict):
        for name, child in sorted(node["featuresDict"].get("features", {}).items()):
            yield from leaves_of(child, f"{path}/{name}" if path else name)
    else:
        yield path, _leaf(node)


def _leaf(node: dict[str, Any]) -> Leaf:
    tensor = node.get("tensor")
    if "text" in node or (isinstance(tensor, dict) and tensor.get("dtype") in ("string", "object")):
        return Leaf("text", ())
    if "image" in node:
        return Leaf("image", ())
    if not isinstance(tensor, dict) or tensor.get("encoding", "none") not in _PLAIN:
        return Leaf("other", ())
    shape = tuple(int(size) for size in tensor.get("shape", {}).get("dimensions", []))
    return Leaf("number" if all(size >= 0 for size in shape) else "other", shape)
