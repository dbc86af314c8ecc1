"""Columns of a foreign file as the fields of the record: put side by side, scaled, in metres, newtons and quaternions.

Time, poses and wrenches have fixed units here (s; m and quaternion xyzw; N and Nm), so a mapping must say the unit they
come in. Proprioception and actions keep theirs, and a unit said for them is noted beside them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats.mapping import FieldMapping, Rotation
from episodes.record import Array

ARRAYS = ("ee_pose", "proprio", "wrench", "executed_action", "policy_action", "human_action", "raw_action", "reward")
_UNITS: dict[str, dict[str, float]] = {
    "time": {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "length": {"m": 1, "cm": 1e-2, "mm": 1e-3},
    "angle": {"rad": 1, "deg": math.pi / 180},
    "force": {"N": 1, "kN": 1e3, "mN": 1e-3},
    "torque": {"Nm": 1, "Ncm": 1e-2, "Nmm": 1e-3, "mNm": 1e-3},
}
_DIVIDED = re.compile(r"(?:/|\.dividedby)(\d*[1-9]\d*\.\d+|0\.\d*[1-9]\d*)$")
"""`wrench.force.x.ret/10.0`: the column holds a tenth of it"""
_SIZES = {"xyzw": 4, "wxyz": 4, "rotation_vector": 3, "roll_pitch_yaw": 3}


def arrays_of(fields: Mapping[Any, FieldMapping], column: Callable[[str], Array], guesses: list[str]) -> dict[str, Any]:
    """Fields of `Episode` out of `column(name) -> (T,) or (T, n)`, by the mapping.

    What had to be guessed is appended to `guesses`. Raises `DataRefused` where the mapping does not fit.
    """
    found: dict[str, Any] = {}
    for name in ARRAYS:
        if name in fields:
            found |= _array(name, fields[name], column, guesses)
    return found


def stamps_of(said: FieldMapping, column: Callable[[str], Array]) -> Array:
    """(T,) float64 seconds since the first stamp. Whole numbers of a large epoch lose nothing on the way."""
    stamps = np.asarray(column(said.source[0])).reshape(-1)
    if stamps.dtype.kind in "mM":
        dated: Array = (stamps - stamps[0]) / np.timedelta64(1, "s")
        return dated
    scale = said.scale[0] if said.scale else 1.0
    seconds: Array = np.asarray(stamps - stamps[0], np.float64) * scale * _factors("time", said, ("time",))
    return seconds


def _array(name: str, said: FieldMapping, column: Callable[[str], Array], guesses: list[str]) -> dict[str, Any]:
    parts = [_two_dimensional(column(key)) for key in said.source]
    names = _names(said.source, [part.shape[1] for part in parts])
    values = np.concatenate(parts, axis=1) * _scales(name, said, names, guesses)
    if name == "ee_pose":
        return {"ee_pose": _pose(values, said)}
    if name == "wrench":
        return {"wrench": _wrench(values, said), "wrench_attrs": {"frame": said.frame} if said.frame else {}}
    if name == "reward":
        return {"reward": _sized(name, values, 1, "1")[:, 0]}
    units = list(_spread(name, "unit", said.unit, len(names))) if said.unit else []
    if name == "proprio":
        return {"proprio": values, "proprio_names": tuple(filter(None, names)), "proprio_units": tuple(units)}
    if name == "executed_action":
        space = {"names": list(filter(None, names)), "units": units, "frame": said.frame}
        return {name: values, "action_space": {key: value for key, value in space.items() if value}}
    return {name: values}


def _names(sources: tuple[str, ...], widths: list[int]) -> list[str]:
    """A name for each column; what is one vector in the source says nothing of its parts."""
    if len(sources) == 1 and widths != [1]:
        return [""] * widths[0]
    pairs = zip(sources, widths, strict=True)
    return [key if width == 1 else f"{key}.{i}" for key, width in pairs for i in range(width)]


def _two_dimensional(values: Array) -> Array:
    values = np.asarray(values)
    return np.asarray(values, np.float64).reshape(len(values), -1)


def _pose(values: Array, said: FieldMapping) -> Array:
    """(T, 7) x y z qx qy qz qw in metres."""
    if said.rotation is None:
        codings = ", ".join(_SIZES)
        raise DataRefused(
            f"ee_pose does not say how its rotation is written; say rotation in fields.ee_pose: {codings}"
        )
    size = _SIZES[said.rotation]
    _sized("ee_pose", values, 3 + size, f"3 + {size}")
    angles = size if size == 3 else 0
    values = values * np.append(
        _factors("ee_pose", said, ("length",) * 3 + ("angle",) * angles), [1.0] * (size - angles)
    )
    return np.concatenate([values[:, :3], quaternions(values[:, 3:], said.rotation)], axis=1)


def quaternions(rotation: Array, coding: Rotation) -> Array:
    """(T, 4) xyzw of rotations (T, 3 or 4), angles in radians. The formulas are the textbook's."""
    if coding == "xyzw":
        return rotation
    if coding == "wxyz":
        return rotation[:, [1, 2, 3, 0]]
    if coding == "rotation_vector":
        half = np.linalg.norm(rotation, axis=1, keepdims=True) / 2
        return np.concatenate([rotation / 2 * np.sinc(half / np.pi), np.cos(half)], axis=1)
    (sr, sp, sy), (cr, cp, cy) = np.sin(rotation / 2).T, np.cos(rotation / 2).T
    x, y = sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy
    return np.stack([x, y, cr * cp * sy - sr * sp * cy, cr * cp * cy + sr * sp * sy], axis=1)


def _wrench(values: Array, said: FieldMapping) -> Array:
    factors = _factors("wrench", said, ("force",) * 3 + ("torque",) * 3)
    return _sized("wrench", values, 6, "6") * factors


def _factors(name: str, said: FieldMapping, kinds: tuple[str, ...]) -> Array:
    """What makes the record's units of the stated ones: one for each kind of quantity, or one for each column.

    "mm" of a pose with a quaternion, ["mm", "deg"] of one with angles, ["N", "Nm"] of a wrench.
    """
    distinct = tuple(dict.fromkeys(kinds))
    known = " and ".join(f"{kind} in {', '.join(_UNITS[kind])}" for kind in distinct)
    if len(said.unit) not in (len(kinds), len(distinct)):
        raise DataRefused(f"{name} needs its units and has {len(said.unit)}; say unit in fields.{name}: {known}")
    by_kind = dict(zip(distinct, said.unit, strict=False))
    units = said.unit if len(said.unit) == len(kinds) else [by_kind[kind] for kind in kinds]
    wrong = [unit for kind, unit in zip(kinds, units, strict=True) if unit not in _UNITS[kind]]
    if wrong:
        raise DataRefused(f"{name} cannot be in {wrong[0]!r}; mend unit in fields.{name}: {known}")
    return np.array([_UNITS[kind][unit] for kind, unit in zip(kinds, units, strict=True)])


def _scales(name: str, said: FieldMapping, names: list[str], guesses: list[str]) -> Array:
    """What the numbers are multiplied by: as said, else as the columns' names say it, which is a guess."""
    if said.scale:
        return np.array(_spread(name, "scale", said.scale, len(names)))
    divided = [_DIVIDED.search(key) for key in names]
    scales = np.array([float(found[1]) if found else 1.0 for found in divided])
    if (scales != 1).any():
        factor = ", ".join(f"{scale:g}" for scale in dict.fromkeys(scales))
        guess = f"units: that {name} is to be multiplied by {factor} is a guess from the names of its columns"
        guesses.append(f"{guess}; say it for certain with scale in fields.{name}")
    return scales


def _spread(name: str, what: str, said: tuple[Any, ...], size: int) -> tuple[Any, ...]:
    """One for each column."""
    if len(said) not in (1, size):
        raise DataRefused(
            f"{name} has {size} columns and {len(said)} of {what}; say one, or one each, in fields.{name}"
        )
    return said * size if len(said) == 1 else said


def _sized(name: str, values: Array, size: int, wanted: str) -> Array:
    if values.shape[1] != size:
        raise DataRefused(f"{name} has {values.shape[1]} columns and not {wanted}; mend from in fields.{name}")
    return values
