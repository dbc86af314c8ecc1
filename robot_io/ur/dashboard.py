"""The dashboard server of a UR controller: a line out, a line back, and never longer than a timeout.

Our own few lines instead of the client library's, which may end the interpreter; this one runs in any process.
"""

from __future__ import annotations

import socket
from types import TracebackType

from episodes.errors import DeviceError

PORT = 29999
TIMEOUT_S = 3.0
LONGEST_BYTES = 4096


class Dashboard:
    """One connection; use it as a context. `DeviceError` where nobody answers in time."""

    def __init__(self, host: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._host = host
        self._waiting = b""
        try:
            self._socket = socket.create_connection((host, PORT), timeout=timeout_s)
        except OSError as error:
            raise self._silent(error) from error

    def __enter__(self) -> Dashboard:
        try:
            greeting = self._line()
            if not greeting.startswith("Connected"):
                raise DeviceError(f"what answers at {self._host}:{PORT} is no dashboard server ({greeting[:60]!r})")
        except DeviceError:
            self._socket.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def ask(self, line: str) -> str:
        """What the controller says to a line."""
        try:
            self._socket.sendall(line.encode() + b"\n")
        except OSError as error:
            raise self._silent(error) from error
        return self._line()

    def _line(self) -> str:
        while b"\n" not in self._waiting and len(self._waiting) < LONGEST_BYTES:
            try:
                data = self._socket.recv(LONGEST_BYTES)
            except OSError as error:
                raise self._silent(error) from error
            if not data:
                raise self._silent("it ended the connection")
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line.decode("utf-8", "replace").strip()

    def _silent(self, why: object) -> DeviceError:
        return DeviceError(
            f"the dashboard at {self._host}:{PORT} does not answer ({why}); check the network and that the robot is on"
        )
