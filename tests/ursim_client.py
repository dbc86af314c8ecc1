"""A small RTDE client of the tests' own, written from UR's protocol description and sharing no code with the server.

It sends and reads raw packages with `struct`, so that an error of the server's own packing cannot hide in it.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
SIZES = {"DOUBLE": "d", "VECTOR6D": "6d", "VECTOR3D": "3d", "INT32": "i", "UINT32": "I", "UINT64": "Q", "UINT8": "B"}
WAIT_S = 8.0


@contextmanager
def running(host: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`regrasp ursim` in a process of its own, ready; it ends with a signal, as a person would end it."""
    command = [sys.executable, "-m", "pipelines", "ursim", "--host", host, *options]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"READY {host} ")
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_S)


class LineClient:
    """Lines out, lines back: dashboard, cell and fault port."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=WAIT_S)
        self._file = self.socket.makefile("rb")

    def line(self) -> str:
        return self._file.readline().decode().rstrip("\n")

    def ask(self, line: str) -> str:
        self.socket.sendall(line.encode() + b"\n")
        return self.line()

    def tell(self, line: str) -> dict[str, Any]:
        """The answer of a port that speaks JSON."""
        answer: dict[str, Any] = json.loads(self.ask(line))
        return answer

    def bytes(self, count: int) -> bytes:
        return self._file.read(count)

    def close(self) -> None:
        self._file.close()
        self.socket.close()


class RtdeClient:
    """One RTDE connection."""

    def __init__(self, host: str) -> None:
        self.socket = socket.create_connection((host, 30004), timeout=WAIT_S)
        self._inputs: dict[int, str] = {}

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        self.socket.sendall(struct.pack(">H", 3 + len(payload)) + kind + payload)

    def read(self) -> tuple[bytes, bytes]:
        size, kind = struct.unpack(">Hc", self._exactly(3))
        return kind, self._exactly(size - 3)

    def ask(self, kind: bytes, payload: bytes = b"") -> bytes:
        """The answer to a request; data that was on its way is skipped."""
        self.send(kind, payload)
        while True:
            answered, told = self.read()
            if answered == kind:
                return told

    def outputs(self, names: list[str], hertz: float = 500.0) -> str:
        """Ask for outputs; returns the types the server gave."""
        self._names = names
        told = self.ask(b"O", struct.pack(">d", hertz) + ",".join(names).encode())
        self._types = told[1:].decode().split(",")
        return told[1:].decode()

    def inputs(self, names: list[str]) -> tuple[int, str]:
        """Ask for inputs; returns the recipe's number and its types."""
        told = self.ask(b"I", ",".join(names).encode())
        if told[0]:
            self._inputs[told[0]] = "".join(SIZES[kind] for kind in told[1:].decode().split(","))
        return told[0], told[1:].decode()

    def write(self, recipe: int, *values: float) -> None:
        self.send(b"U", struct.pack(">B" + self._inputs[recipe], recipe, *values))

    def start(self) -> bool:
        return self.ask(b"S") == b"\x01"

    def state(self) -> dict[str, Any]:
        """The next data package."""
        while True:
            kind, payload = self.read()
            if kind == b"U":
                break
        at, values = 1, {}
        for name, kind in zip(self._names, self._types, strict=True):
            code = ">" + SIZES[kind]
            found = struct.unpack_from(code, payload, at)
            values[name] = found[0] if len(found) == 1 else list(found)
            at += struct.calcsize(code)
        assert at == len(payload)
        return values

    def until(self, seen: Any, limit_s: float = 10.0) -> dict[str, Any]:
        """The first state for which `seen(state)` holds; controller time is what runs out."""
        state = self.state()
        end_s = state["timestamp"] + limit_s
        while not seen(state):
            state = self.state()
            assert state["timestamp"] < end_s, state
        return state

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the server ended the connection")
            data += more
        return data
