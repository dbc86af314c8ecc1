"""Ends the worker at the moment the controller ends a connection, before the client takes up a new one by itself.

The client does that within some 15 ms, and then goes on with the command that was left in the controller's registers:
the arm would move to where it was last sent, without a watchdog. So a thread waits for the end on each of the client's
sockets. It holds them by numbers of its own: one that the client itself gives up stays open, and with it the
controller's inputs stay taken, so that the client cannot come back.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable

ENDS = select.POLLRDHUP | select.POLLHUP | select.POLLERR


def connections(port: int) -> list[socket.socket]:
    """This process's own connections to a port, each by a number of its own."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    theirs = [number for number in numbers if _leads_to(number, port)]
    return [socket.socket(fileno=os.dup(number)) for number in theirs]


def _leads_to(number: int, port: int) -> bool:
    try:
        looked = socket.socket(fileno=number)
    except OSError:
        return False  # a file, or the listing's own
    try:
        return bool(looked.getpeername()[1] == port)
    except (OSError, IndexError):
        return False  # it listens, or is of another family
    finally:
        looked.detach()


def when_ended(held: list[socket.socket], then: Callable[[], None]) -> None:
    """Call `then` once, in a thread, when the first of them ends, from whichever side."""

    def wait() -> None:
        poll = select.poll()
        for each in held:
            poll.register(each, ENDS)
        poll.poll()
        then()

    threading.Thread(target=wait, daemon=True).start()
