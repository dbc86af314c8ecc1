"""ROS 1 messages by the definitions that a bag carries: what is in a type, and what a message of it says.

Definitions are parsed by `rosbags`; messages are read here, because the reader that `rosbags` makes for a type is
program code made from the text of the file. On the wire the values of a message follow each other in the order of its
definition, little-endian; a text or list of any length has its length (uint32) before it
(https://wiki.ros.org/msg, "Serialization").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.record import Array

Types = Mapping[str, tuple[Any, list[tuple[str, tuple[Any, Any]]]]]
"""type -> (constants, [(field, node)]), as `rosbags.typesys.get_types_from_msg` gives it"""
_NUMBERS = {
    "bool": "?", "byte": "<i1", "int8": "<i1", "char": "<u1", "octet": "<u1", "uint8": "<u1", "int16": "<i2",
    "uint16": "<u2", "int32": "<i4", "uint32": "<u4", "int64": "<i8", "uint64": "<u8", "float32": "<f4",
    "float64": "<f8",
}  # fmt: skip
_ONE = {name: struct.Struct(f"<{np.dtype(dtype).char}") for name, dtype in _NUMBERS.items()}
_STAMPS = {"builtin_interfaces/msg/Time": "<u4", "builtin_interfaces/msg/Duration": "<i4"}
"""seconds and nanoseconds"""
_DEEPEST = 32
"""levels of messages in messages; a type that contains itself has no end"""
_LENGTH = struct.Struct("<I")

_POINT, _TURN = ("x", "y", "z"), ("x", "y", "z", "w")
_SHAPES: dict[str, dict[str, tuple[str, ...] | str]] = {
    "pose": {"position": _POINT, "orientation": _TURN},
    "wrench": {"force": _POINT, "torque": _POINT},
    "joints": {"name": "list", "position": "list", "velocity": "list", "effort": "list"},
    "compressed": {"format": "string", "data": "list"},
    "image": {"height": "number", "width": "number", "encoding": "string", "data": "list"},
}
"""what a message must have to be one of these, whatever its type is called"""


@dataclass(frozen=True, slots=True)
class Place:
    """Something in the messages of a type that can be a field of the record."""

    path: str
    """names of fields, joined by dots; "" is the message itself"""
    kind: str
    """pose, wrench, joints, compressed, image; number or string for one value"""


def places(types: Types, name: str, path: str = "", depth: int = 0) -> Iterator[Place]:
    """Everything of interest in a type, outermost first, without headers and lists of messages."""
    if depth > _DEEPEST:
        raise DataRefused(f"the message type {name} contains itself; record with a mended definition")
    fields = dict(types[name][1]) if name in types else {}
    kind = next((kind for kind, shape in _SHAPES.items() if _has_shape(types, fields, shape)), "")
    if kind:
        yield Place(path, kind)
        return
    for field, node in fields.items():
        below = f"{path}.{field}" if path else field
        described = _described(node)
        if described in ("number", "string"):
            yield Place(below, described)
        elif described not in ("list", "std_msgs/msg/Header", *_STAMPS):
            yield from places(types, described, below, depth + 1)


def _has_shape(types: Types, fields: Mapping[str, Any], shape: Mapping[str, tuple[str, ...] | str]) -> bool:
    return all(name in fields and _fits(types, _described(fields[name]), want) for name, want in shape.items())


def _fits(types: Types, described: str, want: tuple[str, ...] | str) -> bool:
    if isinstance(want, str):
        return described == want
    inner = types[described][1] if described in types else []
    return tuple(name for name, _ in inner) == want and all(_described(node) == "number" for _, node in inner)


def _described(node: tuple[Any, Any]) -> str:
    """number, string, list, or the name of a type."""
    kind, inside = node[0].name, node[1]
    if kind == "BASE":
        return "string" if inside[0] == "string" else "number"
    return str(inside) if kind == "NAME" else "list"


def decode(types: Types, name: str, data: bytes) -> dict[str, Any]:
    """A message as plain values: numbers, texts, arrays, and dicts of them. `DataRefused` where it is cut off."""
    try:
        message, at = _message(types, name, memoryview(data), 0, 0)
    except (struct.error, ValueError, KeyError) as error:
        raise DataRefused(f"a message of type {name} is not what its definition says ({error})") from error
    if at != len(data):
        raise DataRefused(f"a message of type {name} has {len(data) - at} bytes more than its definition says")
    return message


def _message(types: Types, name: str, data: memoryview, at: int, depth: int) -> tuple[dict[str, Any], int]:
    if name in _STAMPS:
        values, at = _numbers(_STAMPS[name], 2, data, at)
        return {"sec": int(values[0]), "nanosec": int(values[1])}, at
    if depth > _DEEPEST:
        raise ValueError("it contains itself")
    message: dict[str, Any] = {}
    for field, node in types[name][1]:
        message[field], at = _value(types, node, data, at, depth)
    return message, at


def _value(types: Types, node: tuple[Any, Any], data: memoryview, at: int, depth: int) -> tuple[Any, int]:
    kind, inside = node[0].name, node[1]
    if kind == "BASE":
        if inside[0] == "string":
            return _text(data, at)
        one = _ONE[inside[0]]
        return one.unpack_from(data, at)[0], at + one.size
    if kind == "NAME":
        return _message(types, inside, data, at, depth + 1)
    item, count = inside
    if kind == "SEQUENCE":
        (count,) = _LENGTH.unpack_from(data, at)
        at += 4
    if item[0].name == "BASE" and item[1][0] != "string":
        return _numbers(_NUMBERS[item[1][0]], count, data, at)
    if count > len(data) - at:
        raise ValueError(f"a list of {count} in {len(data) - at} bytes")
    values = []
    for _ in range(count):
        one, at = _value(types, item, data, at, depth)
        values.append(one)
    return values, at


def _numbers(dtype: str, count: int, data: memoryview, at: int) -> tuple[Array, int]:
    end = at + np.dtype(dtype).itemsize * count
    if end > len(data):
        raise ValueError(f"it ends {end - len(data)} bytes too early")
    return np.frombuffer(data[at:end], dtype), end


def _text(data: memoryview, at: int) -> tuple[str, int]:
    (length,) = _LENGTH.unpack_from(data, at)
    if at + 4 + length > len(data):
        raise ValueError(f"a text of {length} bytes ends after it")
    return bytes(data[at + 4 : at + 4 + length]).decode(errors="replace"), at + 4 + length


def at_path(message: Mapping[str, Any], path: str) -> Any:
    """The value at a path; `KeyError` where the message has none."""
    value: Any = message
    for name in filter(None, path.split(".")):
        value = value[name]
    return value


def numbers_of(value: Any) -> list[float]:
    """All numbers in a value, in the order of its definition, without headers."""
    if isinstance(value, Mapping):
        return [number for name, inner in value.items() if name != "header" for number in numbers_of(inner)]
    if isinstance(value, str):
        raise DataRefused(
            f"there is the text {value[:40]!r} where numbers are meant; name another place in the mapping"
        )
    if isinstance(value, list):
        return [number for inner in value for number in numbers_of(inner)]
    return [float(number) for number in np.asarray(value).reshape(-1)]


def stamp_ns(message: Mapping[str, Any]) -> int | None:
    """The time in a message's header, in whole nanoseconds; None without a header."""
    header = message.get("header")
    stamp = header.get("stamp") if isinstance(header, Mapping) else None
    return stamp["sec"] * 1_000_000_000 + stamp["nanosec"] if isinstance(stamp, Mapping) else None
