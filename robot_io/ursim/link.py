"""One TCP connection of the controller, and what faults do to it. Nothing here blocks.

Each service of the controller is a `Service`: bytes in, bytes out, and what it sends by itself every tick.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from robot_io.ursim.wire import WireError

READ_BYTES = 65536
SLOW_BYTES = 262144
"""with more than this unsent, a client gets no more of what is sent by itself"""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Service(Protocol):
    """What answers on a connection."""

    def opened(self) -> bytes: ...
    def feed(self, data: bytes) -> bytes: ...
    def publish(self) -> bytes: ...
    def closed(self) -> None: ...


@dataclass(slots=True)
class LinkFault:
    """What is wrong with the network; nothing by default."""

    silent_until_s: float = 0.0
    """nothing goes out and nothing is taken in before this, controller's time"""
    dead: bool = False
    """the same, for good: the other side hears nothing, not even an end"""
    segment_bytes: int = 0
    """what goes out goes in pieces of this size, one a tick"""
    late_s: float = 0.0
    """what goes out waits this long"""

    def is_silent(self, now_s: float) -> bool:
        """Nothing passes."""
        return self.dead or now_s < self.silent_until_s

    def is_bad(self, now_s: float) -> bool:
        """What a client hears or is heard of is missing or late."""
        return self.is_silent(now_s) or self.late_s > 0.0


@dataclass(slots=True)
class Connection:
    """A socket with its service. Who watches the socket closes it, when it watches it no more."""

    socket: socket.socket
    service: Service
    fault: LinkFault
    now: Callable[[], float]
    open: bool = True
    _unsent: bytearray = field(default_factory=bytearray)
    _late: list[tuple[float, bytes]] = field(default_factory=list)

    def begin(self) -> None:
        """What a service says first."""
        self._put(self.service.opened())
        self.flush()

    def read(self) -> None:
        """Take in what arrived and answer it."""
        if not self.open or self.fault.is_silent(self.now()):
            return
        try:
            data = self.socket.recv(READ_BYTES)
            answer = self.service.feed(data)
        except BlockingIOError:
            return
        except (OSError, WireError):
            data = b""
        if data:
            self._put(answer)
            self.flush()
        else:
            self.close()

    def tick(self) -> None:
        """Send what is due."""
        sent_by_itself = self.service.publish()
        if len(self._unsent) < SLOW_BYTES:
            self._put(sent_by_itself)
        self.flush()

    def flush(self) -> None:
        """Hand to the network what it takes."""
        now_s = self.now()
        while self._late and self._late[0][0] <= now_s:
            self._unsent += self._late.pop(0)[1]
        if not self._unsent or not self.open or self.fault.is_silent(now_s):
            return
        piece = self._unsent[: self.fault.segment_bytes] if self.fault.segment_bytes else self._unsent
        try:
            del self._unsent[: self.socket.send(piece)]
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def close(self, *, reset: bool = False) -> None:
        """Nothing goes in or out any more; with `reset` the other side will get a RST instead of an end."""
        if not self.open:
            return
        self.open = False
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.service.closed()

    def _put(self, data: bytes) -> None:
        if data:
            self._late.append((self.now() + self.fault.late_s, data))
