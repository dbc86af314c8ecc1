"""The steps of a transition pickle, which another process opened: this one never does.

`child` runs with Python's isolated mode, an empty environment, and limits on memory and processor time that
follow from the size of the file. What it sends is read as numbers and text, with limits of its own: nothing of it is
believed to be well-meant.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import EpisodeFormatError
from episodes.formats.pickles import child as program
from episodes.record import Array

MOST_MEMORY = 12_000_000_000
"""bytes; three times the largest file that is read"""
_START_MEMORY = 200_000_000
"""address space of a Python that has read nothing yet, with room"""
_START_S, _BYTES_PER_S = 10, 10_000_000
"""processor time: a tenth of the speed at which an unpickler reads arrays here"""
_SILENCE_S = 120.0
_LONGEST_LINE = 1_000_000
_DTYPE = re.compile(r"[<>](b1|[iu][1248]|f[248])")
_NO_ARRAYS = "the process that read it sent something else than arrays"
REMEDY = "convert it to HDF5 where it was made"

Step = dict[str, Any]
"""key -> array, number, text or None; keys of dicts in dicts are joined by `/`"""


def steps(path: Path, *, small: bool = False) -> Generator[Step]:
    """The transitions of the pickle, one at a time; with `small` only their small values.

    Raises `EpisodeFormatError` for a file that is too large and for whatever is no list of plain transitions.
    """
    size = path.stat().st_size
    memory = _START_MEMORY + 3 * size
    if memory > MOST_MEMORY:
        raise _refused(path, f"it has {size / 1e9:.1f} GB, more than is read at once", "write it in several files")
    command = [sys.executable, "-I", "-S", str(Path(program.__file__).resolve())]
    limits = [str(_START_S + size // _BYTES_PER_S), str(memory), str(int(small))]
    with (
        path.open("rb") as file,
        subprocess.Popen(
            command + limits, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, bufsize=0
        ) as child,
    ):
        try:
            yield from _received(path, child, memory)
        finally:
            child.kill()


def _received(path: Path, child: subprocess.Popen[bytes], most: int) -> Generator[Step]:
    assert child.stdout is not None
    pipe = _Pipe(path, child.stdout.fileno(), most)
    while line := pipe.line():
        try:
            head = json.loads(line)
            step: Step = {str(key): value for key, value in head["plain"].items()}
            for key, dtype, shape, fortran in head["arrays"]:
                step[str(key)] = _array(pipe, dtype, shape, fortran)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _refused(path, _reason(child) if child.poll() else _NO_ARRAYS) from error
        yield step
    if child.wait(_SILENCE_S) != 0:
        raise _refused(path, _reason(child))
    if pipe.rest:
        raise _refused(path, _NO_ARRAYS)


def _array(pipe: _Pipe, dtype: str, shape: list[int], fortran: bool) -> Array:
    if not _DTYPE.fullmatch(dtype) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("no array")
    kind = np.dtype(dtype)
    data = pipe.exactly(math.prod(shape) * kind.itemsize)
    found: Array = np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")
    return found.astype(kind.newbyteorder("="))


def _reason(child: subprocess.Popen[bytes]) -> str:
    """What a process that failed said, or how it ended."""
    assert child.stderr is not None
    said = re.sub(r"[^ -~]+", " ", os.read(child.stderr.fileno(), 1000).decode(errors="replace")).strip()
    if child.returncode == 3 and said:
        return said
    if child.returncode in (-24, -9):  # SIGXCPU, and what comes a second later
        return "it took longer to read than a file of its size may"
    return f"the process that read it ended with {child.returncode}"


def _refused(path: Path, why: str, remedy: str = REMEDY) -> EpisodeFormatError:
    return EpisodeFormatError(f"this pickle was not taken: {why}", file=path.name, remedy=remedy)


class _Pipe:
    """Lines and bytes out of a file descriptor that may fall silent or never end."""

    def __init__(self, path: Path, descriptor: int, most: int) -> None:
        self._path, self._descriptor, self._left = path, descriptor, most
        self.rest = bytearray()
        """read and not yet asked for"""

    def line(self) -> bytes:
        """Up to and without the next line feed; empty at the end."""
        searched = 0
        while (end := self.rest.find(b"\n", searched)) < 0:
            searched = len(self.rest)
            if searched > _LONGEST_LINE:
                raise _refused(self._path, _NO_ARRAYS)
            if not self._more():
                return b""
        return self._take(end + 1)[:-1]

    def exactly(self, count: int) -> bytes:
        while len(self.rest) < count:
            if not self._more():
                raise ValueError("it ends early")
        return self._take(count)

    def _take(self, count: int) -> bytes:
        taken = bytes(self.rest[:count])
        del self.rest[:count]
        return taken

    def _more(self) -> bool:
        if not select.select([self._descriptor], [], [], _SILENCE_S)[0] or self._left < 0:
            raise _refused(self._path, "the process that read it does not come to an end")
        data = os.read(self._descriptor, 1 << 20)
        self._left -= len(data)
        self.rest += data
        return bool(data)
