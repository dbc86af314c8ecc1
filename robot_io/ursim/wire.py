"""RTDE version 2 on the wire: packages and their values. Everything is big-endian.

A package is `uint16 size, uint8 kind, payload`; the size counts the three bytes of the head. Values are packed one
after another without padding, in the order of the recipe they belong to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

HEAD = struct.Struct(">HB")
PROTOCOL_VERSION = 2
TYPES: dict[str, str] = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT32": "I",
    "UINT64": "Q",
    "INT32": "i",
    "DOUBLE": "d",
    "VECTOR3D": "3d",
    "VECTOR6D": "6d",
    "VECTOR6INT32": "6i",
    "VECTOR6UINT32": "6I",
}
"""what a recipe calls a type -> its struct code"""


class Kind(IntEnum):
    """What a package is, by its third byte."""

    PROTOCOL = ord("V")
    CONTROLLER = ord("v")
    OUTPUTS = ord("O")
    INPUTS = ord("I")
    START = ord("S")
    PAUSE = ord("P")
    DATA = ord("U")
    TEXT = ord("M")


class WireError(Exception):
    """Bytes that are no RTDE package."""


def package(kind: int, payload: bytes = b"") -> bytes:
    """The bytes of one package."""
    return HEAD.pack(HEAD.size + len(payload), kind) + payload


def text_package(message: str, source: str = "", level: int = 3) -> bytes:
    """A message of the controller; level 0 exception, 1 error, 2 warning, 3 information."""
    parts = b"".join(bytes([len(part)]) + part for part in (message.encode()[:255], source.encode()[:255]))
    return package(Kind.TEXT, parts + bytes([level]))


class Packages:
    """Cuts a byte stream into packages, however it arrives."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The (kind, payload) of every package that is whole now. `WireError` for a size below the head's own."""
        self._waiting += data
        while len(self._waiting) >= HEAD.size:
            size, kind = HEAD.unpack_from(self._waiting)
            if size < HEAD.size:
                raise WireError(f"a package of {size} bytes; its head alone has {HEAD.size}")
            if len(self._waiting) < size:
                return
            payload = bytes(self._waiting[HEAD.size : size])
            del self._waiting[:size]
            yield kind, payload


class Recipe:
    """An ordered list of variables, and how their values are packed."""

    def __init__(self, number: int, names: Sequence[str], types: Sequence[str]) -> None:
        self.number, self.names = number, tuple(names)
        self._counts = tuple(int(TYPES[kind][:-1] or 1) for kind in types)
        self._packed = struct.Struct(">B" + "".join(TYPES[kind] for kind in types))

    @property
    def size(self) -> int:
        """Bytes of the payload, the recipe's number included."""
        return self._packed.size

    def pack(self, values: Sequence[Any]) -> bytes:
        """One value for each name, vectors as sequences -> payload."""
        flat: list[Any] = [self.number]
        for count, value in zip(self._counts, values, strict=True):
            flat.append(value) if count == 1 else flat.extend(value)
        return self._packed.pack(*flat)

    def unpack(self, payload: bytes) -> tuple[Any, ...]:
        """Payload -> one value for each name, vectors as tuples. `WireError` for a payload of another size."""
        if len(payload) != self.size:
            raise WireError(f"recipe {self.number} has {self.size} bytes and got {len(payload)}")
        flat, values, at = self._packed.unpack(payload), [], 1
        for count in self._counts:
            values.append(flat[at] if count == 1 else flat[at : at + count])
            at += count
        return tuple(values)


def names_in(payload: bytes) -> list[str]:
    """The names of a recipe request; some clients leave a comma behind the last one."""
    return [name for name in payload.decode("latin-1").split(",") if name]
