"""The steps of transition pickles, which another process opened: this one never does.

`child` runs with Python's isolated mode and an empty environment, and has each pickle opened by a copy of itself, with
limits on memory and processor time that follow from the size of the file: what ends the copy ends that file alone. What
is sent is read as numbers and text, with limits of its own: nothing of it is believed to be well-meant.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
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
_END_S = 1.0
"""for a copy to notice that nobody reads any more what it sends"""
_LONGEST_LINE = 1_000_000
_DTYPE = re.compile(r"[<>](b1|[iu][1248]|f[248])")
_NO_ARRAYS = "the process that read it sent something else than arrays"
REMEDY = "convert it to HDF5 where it was made"

Step = dict[str, Any]
"""key -> array, number, text or None; keys of dicts in dicts are joined by `/`"""


class Opener:
    """The process that has pickles opened, one at a time. It starts when it is needed, again where it was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: socket.socket | None = None

    def close(self) -> None:
        """End the process, and the copy of it that may be reading."""
        if self._asked is not None:
            self._asked.close()
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = self._asked = None

    def steps(self, path: Path, *, small: bool = False) -> Generator[Step]:
        """The transitions of the pickle, one at a time; with `small` only their small values.

        Raises `EpisodeFormatError` for a file that is too large and for whatever is no list of plain transitions.
        """
        size = path.stat().st_size
        memory = _START_MEMORY + 3 * size
        if memory > MOST_MEMORY:
            raise _refused(path, f"it has {size / 1e9:.1f} GB, more than is read at once", "write it in several files")
        content, refusal = self._ask(path, f"{_START_S + size // _BYTES_PER_S} {memory} {int(small)}")
        pipe, why, ended = _Pipe(path, content, memory), _NO_ARRAYS, None
        try:
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                yield from _received(pipe)
                why = _NO_ARRAYS if pipe.rest else ""
            ended = self._ended(_SILENCE_S if pipe.ended else 0.0)
            why = why if ended == 0 or not pipe.ended else _reason(ended, refusal)
            if why:
                raise _refused(path, why)
        finally:
            os.close(content)
            os.close(refusal)
            if ended is None and self._ended(_END_S) is None:
                self.close()

    def _ask(self, path: Path, limits: str) -> tuple[int, int]:
        """Have a pickle opened; returns where its content comes from, and where a refusal does."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._asked, theirs = socket.socketpair()
            with theirs:
                command = [sys.executable, "-I", "-S", str(Path(program.__file__).resolve())]
                self._process = subprocess.Popen(command, stdin=theirs.fileno(), env={}, start_new_session=True)
        assert self._asked is not None
        (content, out), (refusal, said) = os.pipe(), os.pipe()
        with path.open("rb") as file, suppress(OSError):  # nobody is there: then nothing comes
            socket.send_fds(self._asked, [limits.encode()], [file.fileno(), out, said])
        os.close(out)
        os.close(said)
        return content, refusal

    def _ended(self, patience_s: float) -> int | None:
        """How the copy ended; None where it goes on, or where nobody is left to tell."""
        if self._asked is None or not select.select([self._asked], [], [], patience_s)[0]:
            return None
        told = b""
        with suppress(ConnectionError):
            told = self._asked.recv(100)
        return int(told) if told else None


def _received(pipe: _Pipe) -> Generator[Step]:
    while line := pipe.line():
        head = json.loads(line)
        step: Step = {str(key): value for key, value in head["plain"].items()}
        for key, dtype, shape, fortran in head["arrays"]:
            step[str(key)] = _array(pipe, dtype, shape, fortran)
        yield step


def _array(pipe: _Pipe, dtype: str, shape: list[int], fortran: bool) -> Array:
    if not _DTYPE.fullmatch(dtype) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("no array")
    kind = np.dtype(dtype)
    data = pipe.exactly(math.prod(shape) * kind.itemsize)
    found: Array = np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")
    return found.astype(kind.newbyteorder("="))


def _reason(ended: int | None, refusal: int) -> str:
    """What a copy that failed said, or how it ended."""
    said = re.sub(r"[^ -~]+", " ", os.read(refusal, 1000).decode(errors="replace")).strip() if ended == 3 else ""
    if said:
        return said
    if ended in (-signal.SIGXCPU, -signal.SIGKILL):  # the second comes a second after the first
        return "it took longer to read than a file of its size may"
    return "the process that read it went away" if ended is None else f"the process that read it ended with {ended}"


def _refused(path: Path, why: str, remedy: str = REMEDY) -> EpisodeFormatError:
    return EpisodeFormatError(f"this pickle was not taken: {why}", file=path.name, remedy=remedy)


class _Pipe:
    """Lines and bytes out of a file descriptor that may fall silent or never end."""

    def __init__(self, path: Path, descriptor: int, most: int) -> None:
        self._path, self._descriptor, self._left = path, descriptor, most
        self.rest = bytearray()
        """read and not yet asked for"""
        self.ended = False

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
        self.ended = not data
        self._left -= len(data)
        self.rest += data
        return bool(data)
