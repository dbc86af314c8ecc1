"""The end of a connection is noticed at once, from whichever side, without reading what comes on it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from robot_io.ur.hangup import connections, when_ended

WAIT_S = 10.0
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A client's end and a server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


def held(pair: Pair) -> list[socket.socket]:
    return connections(pair[1].getsockname()[1])


def test_a_process_finds_its_own_connections_to_a_port_and_leaves_nothing_else_open(pair: Pair) -> None:
    before = len(os.listdir("/proc/self/fd"))
    found = held(pair)
    assert [each.getsockname() for each in found] == [pair[0].getsockname()]
    assert len(os.listdir("/proc/self/fd")) == before + 1
    found[0].close()


@pytest.mark.parametrize("ends", ["the server's", "the client's"])
def test_whoever_ends_it_is_noticed(pair: Pair, ends: str) -> None:
    ended, found = threading.Event(), held(pair)
    when_ended(found, ended.set)
    pair[1].sendall(b"data says nothing")
    assert not ended.wait(0.05)
    if ends == "the server's":
        pair[1].close()
    else:
        pair[0].shutdown(socket.SHUT_RDWR)
    assert ended.wait(WAIT_S)
    found[0].close()


def test_a_client_that_gives_its_connection_up_does_not_end_it(pair: Pair) -> None:
    found = held(pair)
    pair[0].close()
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        pair[1].recv(1)
    found[0].close()
