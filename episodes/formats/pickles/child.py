"""The program that opens pickles, each in a process of its own: `python -I -S child.py < SOCKET`.

A pickle is a program for building objects. This one may build lists, dicts, tuples, numbers, text, and what stands
where NumPy arrays and scalars of plain dtypes should: the names in `_ADMITTED` become our own placeholders, which hold
shape, dtype and bytes, and every other name is refused before anything is called. NumPy is not even imported. What it
takes is limited by the kernel: memory, processor time, no new files. What comes out is no pickle: for each transition
a line of JSON, `{"plain": {key: value}, "arrays": [[key, dtype, shape, in Fortran order], ...]}`, and the bytes of
these arrays one after the other. Keys of dicts in dicts are joined by `/`.

A request on the socket is `SECONDS BYTES SMALL` with three open files: the pickle, where its content goes, where a
refusal goes. A copy of this process opens the pickle and ends; the answer is a line with its exit code, 3 for a refusal
in one sentence. With SMALL 1 only arrays of up to `SMALL_BYTES` come out.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import resource
import socket
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

SMALL_BYTES = 256
NEXT_BYTES = 4096
"""of the observation after the step only what tells whether the next step goes on from it; a picture does not"""
EXPANSION = 8
"""the most that comes out for a byte that goes in: a number under a long key is 35 bytes of JSON and 11 of pickle"""
DEEPEST = 4
LONGEST_TEXT = 4096
_PLAIN_DTYPE = re.compile(r"b1|[iu][1248]|f[248]")


class Refused(Exception):
    """The pickle holds something else than plain transitions."""


class DType:
    """`numpy.dtype` of a bool, integer or float."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        if not isinstance(code, str) or not _PLAIN_DTYPE.fullmatch(code):
            raise Refused(f"an array of dtype {str(code)[:20]!r}; only booleans, integers and floats are read")
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subtype, names, fields = state[:5]
        if order not in ("<", ">", "|", "=") or (subtype, names, fields) != (None, None, None):
            raise Refused("an array of a structured dtype; only booleans, integers and floats are read")
        self.order = "<" if order in "|=" else order

    @property
    def size(self) -> int:
        return int(self.code[1])


class Array:
    """A `numpy.ndarray` or scalar as its parts."""

    shape: tuple[int, ...]
    dtype: DType
    fortran: bool
    data: bytes

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        self.fill(shape, dtype, bool(fortran), data)

    def fill(self, shape: Any, dtype: Any, fortran: bool, data: Any) -> Array:
        """Set the parts; they must fit each other."""
        if type(dtype) is not DType or not isinstance(data, bytes | bytearray):
            raise Refused("an array that does not say its bytes")
        if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 8:
            raise Refused("an array that does not say its shape")
        if math.prod(shape) * dtype.size != len(data):
            raise Refused(f"an array of {len(data)} bytes that says it is {shape}")
        self.shape, self.dtype, self.fortran, self.data = shape, dtype, fortran, bytes(data)
        return self


def _reconstruct(kind: object, shape: object, code: object) -> Array:
    if kind is not _ND:
        raise Refused("an array of another class than numpy.ndarray")
    return Array()


def _scalar(dtype: Any, data: Any = None) -> Array:
    return Array().fill((), dtype, False, data)


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    return Array().fill(tuple(shape), dtype, order == "F", data)


def _encode(text: Any, encoding: Any) -> bytes:
    """What protocol 2 makes of bytes."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise Refused("text in another coding than latin1")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    return b""


_ND = object()
_NUMPY = {("multiarray", "_reconstruct"): _reconstruct, ("multiarray", "scalar"): _scalar}
_NUMPY |= {("numeric", "_frombuffer"): _from_buffer}
_ADMITTED: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.{module}", name): part for core in ("core", "_core") for (module, name), part in _NUMPY.items()},
    ("numpy", "ndarray"): _ND,
    ("numpy", "dtype"): DType,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): dict,
}


class Unpickler(pickle.Unpickler):
    """Builds nothing but plain containers and placeholders."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise Refused(f"{module[:60]}.{name[:60]}, which is no array and no plain container") from None


def limit(seconds: int, size: int) -> None:
    """Let the kernel end this process when it takes more than this, or writes a file."""
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def transitions(file: BinaryIO) -> list[dict[Any, Any]]:
    """The content of the pickle."""
    found = Unpickler(file).load()
    if type(found) is not list or not all(type(step) is dict for step in found):
        raise Refused("something else than a list of transitions, each a dict")
    return found


def flat(step: dict[Any, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """(key, value) of everything in a transition that is an array, a number, a row of numbers, text or None."""
    if depth > DEEPEST:
        raise Refused(f"dicts in dicts, more than {DEEPEST} deep")
    for name, value in step.items():
        if type(name) is not str or len(name) > 200:
            raise Refused("a key that is no short text")
        key = f"{before}{name}"
        if type(value) is dict:
            yield from flat(value, f"{key}/", depth + 1)
        elif type(value) in (Array, bool, int, float, str, type(None)):
            yield key, value
        elif type(value) in (list, tuple) and value and all(type(one) in (int, float, bool) for one in value):
            yield key, [float(one) for one in value]
        elif type(value) not in (list, tuple, set, frozenset, bytes, bytearray):
            raise Refused(f"{type(value).__name__[:60]} at {key}, which is no array and no plain container")


def send(step: dict[Any, Any], out: BinaryIO, *, small: bool) -> int:
    """Write one transition; returns its bytes."""
    plain: dict[str, Any] = {}
    arrays: list[tuple[str, Array]] = []
    for key, value in flat(step):
        if type(value) is not Array:
            plain[key] = value[:LONGEST_TEXT] if type(value) is str else value
        elif len(value.data) <= (SMALL_BYTES if small else NEXT_BYTES if key.startswith("next_") else math.inf):
            arrays.append((key, value))
    heads = [[key, a.dtype.order + a.dtype.code, a.shape, a.fortran] for key, a in arrays]
    line = json.dumps({"plain": plain, "arrays": heads}).encode() + b"\n"
    out.write(line)
    for _, array in arrays:
        out.write(array.data)
    return len(line) + sum(len(array.data) for _, array in arrays)


def opened(pickled: BinaryIO, out: BinaryIO, *, small: bool) -> str:
    """Write the content of a pickle; returns why it is refused, "" where it is not."""
    sent, most = 0, EXPANSION * os.fstat(pickled.fileno()).st_size + 1_000_000
    try:
        for step in transitions(pickled):
            sent += send(step, out, small=small)
            if sent > most:  # the same array at a million steps is one in the pickle
                raise Refused("far more in its arrays than the file has bytes")
        out.flush()
    except Refused as refused:
        return f"it holds {refused}"
    except MemoryError:
        return f"it takes more than {resource.getrlimit(resource.RLIMIT_AS)[0] // 1_000_000} MB of memory"
    except Exception as error:  # whatever a damaged or hostile stream makes the unpickler raise
        return f"it is damaged: {type(error).__name__}"
    return ""


def answered(files: list[int], seconds: int, size: int, small: int) -> int:
    """Let a copy of this process open a pickle; returns how it ended: an exit code, or less than 0 for a signal."""
    copy = os.fork()
    if copy == 0:
        code = 1
        try:
            limit(seconds, size)
            pickled, out, refusal = files
            why = opened(os.fdopen(pickled, "rb"), os.fdopen(out, "wb"), small=bool(small))
            os.write(refusal, why.encode())
            code = 3 if why else 0
        finally:
            os._exit(code)
    for file in files:
        os.close(file)
    return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])


def main() -> int:
    asker = socket.socket(fileno=sys.stdin.fileno())
    while True:
        told, files, *_ = socket.recv_fds(asker, 100, 3)
        if not told:
            return 0
        asker.sendall(b"%d\n" % answered(files, *(int(number) for number in told.split())))


if __name__ == "__main__":
    sys.exit(main())
