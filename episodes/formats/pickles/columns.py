"""The steps of one episode as columns, by the keys that transitions have; pictures are compressed on the way.

A step's (k, n) array is a stack of the last k values: the last row is the step's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats import meaning
from episodes.formats.pickles.opening import Step
from episodes.formats.pickles.parts import OBSERVED, is_picture
from episodes.images import MAX_PIXELS, encode_png
from episodes.record import Array

INFOS, LABELS = "infos/", "labels"
INTERVENTION = f"{INFOS}intervene_action"
_TAKEN_OVER = 2
"""of `labels`: a person acted"""


@dataclass(frozen=True, slots=True)
class Picture:
    """A compressed frame."""

    png: bytes
    size_px: tuple[int, int]
    """height, width"""


def packed(step: Step) -> Step:
    """The step with its pictures compressed, so that memory holds no more."""
    return {
        key: _picture(value) if key.startswith(OBSERVED) and is_picture(value) else value for key, value in step.items()
    }


def _picture(pixels: Array) -> Picture:
    newest = pixels[-1] if pixels.ndim == 4 and len(pixels) else pixels
    if newest.ndim != 3 or newest.shape[2] != 3 or not 0 < newest.shape[0] * newest.shape[1] <= MAX_PIXELS:
        raise DataRefused(f"a picture is of shape {pixels.shape} and not (height, width, 3)")
    return Picture(encode_png(np.ascontiguousarray(newest)), (newest.shape[0], newest.shape[1]))


class Columns(Mapping[str, Array]):
    """key -> (T,) or (T, n) float64, or (T,) text; NaN or "" where a step lacks it. `key.3` is one column of many."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self._keys = dict.fromkeys(key for step in steps for key, value in step.items() if value is not None)

    def __getitem__(self, key: str) -> Array:
        if key not in self._keys:
            return self._one_of_many(key)
        values = [step.get(key) for step in self.steps]
        if any(isinstance(value, Picture) for value in values):
            raise DataRefused(f"{key} is a picture and no column; mend the mapping")
        if any(isinstance(value, str) for value in values):
            return np.array(["" if value is None else str(value) for value in values])
        rows = [None if value is None else _row(value) for value in values]
        sizes = {len(row) for row in rows if row is not None}
        if len(sizes) != 1:
            raise DataRefused(f"{key} has {min(sizes)} numbers at one step and {max(sizes)} at another")
        missing = np.full(sizes.pop(), np.nan)
        column = np.stack([missing if row is None else row for row in rows])
        return column[:, 0] if column.shape[1] == 1 else column

    def _one_of_many(self, key: str) -> Array:
        whole, _, place = key.rpartition(".")
        column = self[whole] if whole in self._keys and place.isdecimal() else np.zeros(0)
        if column.ndim != 2 or int(place) >= column.shape[1]:
            raise DataRefused(f"there is no {key} among {', '.join(sorted(self._keys))}")
        return column[:, int(place)]

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def rows(self, key: str) -> Array | None:
        """(T, n) float64; None where no step has it."""
        if key not in self._keys:
            return None
        column = self[key]
        if column.dtype.kind != "f":
            raise DataRefused(f"{key} is text where numbers belong")
        return column.reshape(len(self.steps), -1)

    def last(self, key: str) -> Any:
        """The value at the last step that has it."""
        return next(step[key] for step in reversed(self.steps) if step.get(key) is not None)

    def text(self, keys: Sequence[str]) -> str:
        """The first of these that is a text, "" where none is."""
        found = (self.last(key) for key in keys if key in self._keys)
        return next((value for value in found if isinstance(value, str) and value.strip()), "").strip()

    def pictures(self) -> dict[str, list[Picture]]:
        """The frames of each camera, by its name in the source."""
        keys = [key for key, value in self.steps[0].items() if isinstance(value, Picture)]
        return {key.removeprefix(OBSERVED): [self._picture_at(t, key) for t in range(len(self.steps))] for key in keys}

    def _picture_at(self, t: int, key: str) -> Picture:
        first, found = self.steps[0][key], self.steps[t].get(key)
        if not isinstance(found, Picture) or found.size_px != first.size_px:
            raise DataRefused(f"{key} is no picture of {first.size_px} pixels at step {t}")
        return found

    def proprio(self) -> dict[str, Any]:
        """All observations that are no pictures, side by side in the order of their names."""
        keys = [key for key in sorted(self._keys) if key.startswith(OBSERVED)]
        low = {key: self.rows(key) for key in keys if not isinstance(self.steps[0].get(key), Picture)}
        found = {key.removeprefix(OBSERVED): values for key, values in low.items() if values is not None}
        names = tuple(f"{name}.{i}" for name, values in found.items() for i in range(values.shape[1]))
        return {"proprio": np.concatenate(list(found.values()), axis=1), "proprio_names": names} if found else {}

    def has_infos(self) -> bool:
        """True for HIL-SERL's recorded demonstrations."""
        return any(key.startswith(INFOS) for key in self._keys)

    def flags(self) -> dict[str, Array]:
        """The columns that say who acted. No `intervene_action` in any step's `infos` says that nobody did."""
        found = {key: self[key] for key in self._keys if meaning.says_who_acts(key)}
        if self.has_infos():
            found.setdefault(INTERVENTION, np.full(len(self.steps), np.nan))
        if LABELS in self._keys and (taken_over := self[LABELS] == _TAKEN_OVER).any():
            found[f"{LABELS}/is_intervention"] = taken_over.astype(float)
        return found


def _row(value: Any) -> Array:
    found = np.asarray(value, np.float64)
    if found.ndim > 2 or found.size == 0:
        raise DataRefused(f"an array of shape {found.shape} is no row of numbers")
    return found[-1] if found.ndim == 2 else found.reshape(-1)
