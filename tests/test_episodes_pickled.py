"""The process that opens pickles: plain arrays of every protocol come out, and nothing hostile gets anywhere."""

from __future__ import annotations

import os
import pickle
import signal
from collections import OrderedDict
from contextlib import closing, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transition_samples import opened

from episodes.errors import EpisodeFormatError
from episodes.formats.pickles import opening

PROTOCOL_4 = b"\x80\x04"


def read(tmp_path: Path, content: Any, *, small: bool = False, protocol: int = 4) -> list[opening.Step]:
    path = tmp_path / "x.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return opened(path, small=small)


ARRAYS = {
    "bytes": np.arange(24, dtype=np.uint8).reshape(2, 4, 3),
    "columns first": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    "big endian": np.array([1, -2], ">i4"),
    "half": np.array([0.5, np.inf, np.nan], np.float16),
    "flags": np.array([True, False]),
    "scalar": np.float32(1.25),
    "no axis": np.array(3, np.int64),
    "nothing": np.zeros((0, 3), np.float32),
    "not in a row": np.arange(10)[::3],
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_values_come_as_they_are(tmp_path: Path, protocol: int) -> None:
    plain = {"yes": True, "count": 3, "share": 0.5, "text": "dépôt", "none": None, "inner": OrderedDict(row=[1, 2.5])}
    (step,) = read(tmp_path, [{**ARRAYS, **plain, "passed over": ["a", "b"]}], protocol=protocol)
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(step[key], array)
        assert step[key].dtype == np.asarray(array).dtype.newbyteorder("=")
    assert step["inner/row"] == [1, 2.5]
    assert {key: step[key] for key in plain if key != "inner"} == {k: v for k, v in plain.items() if k != "inner"}


def test_small_values_alone_can_be_asked_for(tmp_path: Path) -> None:
    (step,) = read(
        tmp_path, [{"picture": np.zeros((16, 8, 3), np.uint8), "dones": False, "state": np.zeros(11)}], small=True
    )
    assert set(step) == {"dones", "state"}


class Call:
    """What a pickle makes when it is opened the usual way."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.made


def shared(levels: int) -> bytes:
    """A dict whose key is a tuple of 2^levels tuples, each level shared: to hash it takes for ever."""
    return PROTOCOL_4 + b"})" + b"2\x86" * levels + b"Ns."


HOSTILE: dict[str, Any] = {
    "os.system": [Call(os.system, "touch hacked")],
    "eval": [{"x": Call(eval, "open('hacked', 'w')")}],
    "eval by getattr": [Call(getattr, Call(__import__, "builtins"), "eval")],
    "a reduce in a reduce": [Call(Call, Call(os.system, "touch hacked"))],
    "in an array's state": b"\x80\x04cnumpy\nndarray\n(cos\nsystem\nX\x0c\x00\x00\x00touch hackedR1b.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0bndarray.dot\x93.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent id": b"\x80\x04X\x01\x00\x00\x00aQ.",
    "objects": [{"x": np.array([None, {}], object)}],
    "a structured array": [{"x": np.zeros(2, [("a", "f4")])}],
    "times": [{"x": np.array(["2026-01-01"], "datetime64[s]")}],
    "a memory map": b"\x80\x04cnumpy\nmemmap\n(X\x06\x00\x00\x00hackedtR.",
    "an array that is no array": b"\x80\x04]}(X\x01\x00\x00\x00ac__builtin__\nbytes\nua.",
    "another class": [{"x": Fraction(1, 3)}],
    "no list": {"observations": 1},
    "no dicts": [[1, 2]],
    "nothing": b"",
    "half": pickle.dumps([{"x": np.zeros(100)}])[:-40],
    "a shape that is not its bytes": pickle.dumps([{"x": np.zeros(3)}], 2).replace(b"K\x03\x85", b"K\x09\x85"),
    "1 GB promised": PROTOCOL_4 + b"\x8e" + (1 << 30).to_bytes(8, "little") + b"abc",
    "16 EB promised": PROTOCOL_4 + b"\x8e" + b"\xff" * 8,
    "a place far out in the memo": PROTOCOL_4 + b"]r\xff\xff\xff\x7f.",
    "a million lists in lists": PROTOCOL_4 + b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "dicts in dicts": PROTOCOL_4 + b"](" + b"}X\x01\x00\x00\x00a" * 50 + b"N" + b"s" * 50 + b"e.",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_nothing_hostile_gets_anywhere(tmp_path: Path, content: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EpisodeFormatError, match="this pickle was not taken: it ") as caught:
        read(tmp_path, content)
    assert caught.value.file == "x.pkl"
    assert len(str(caught.value)) < 300
    assert [path.name for path in tmp_path.iterdir()] == ["x.pkl"]


def test_a_list_that_holds_itself_is_no_transition(tmp_path: Path) -> None:
    inner: dict[str, Any] = {}
    inner["inner"] = inner
    with pytest.raises(EpisodeFormatError, match="more than 4 deep"):
        read(tmp_path, [inner])


def test_one_array_at_a_million_steps_ends_where_the_file_would(tmp_path: Path) -> None:
    step = {"x": np.zeros(300_000, np.uint8)}
    with pytest.raises(EpisodeFormatError, match="far more in its arrays than the file has bytes"):
        read(tmp_path, [step] * 10_000)


def test_what_takes_for_ever_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_START_S", 1)
    with pytest.raises(EpisodeFormatError, match="longer to read than a file of its size may"):
        read(tmp_path, shared(60))


def test_a_file_too_large_to_hold_is_refused_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MOST_MEMORY", 1000)
    with pytest.raises(EpisodeFormatError, match="write it in several files"):
        read(tmp_path, [{}])


def test_a_file_that_ends_its_process_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_START_S", 1)
    contents = {
        "long.pkl": shared(60),
        "call.pkl": pickle.dumps([Call(eval, "1")]),
        "good.pkl": pickle.dumps([{"x": 1}]),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with closing(opening.Opener()) as opener:
        for name in ("long.pkl", "call.pkl"):
            with pytest.raises(EpisodeFormatError, match="this pickle was not taken: it "):
                list(opener.steps(tmp_path / name))
            assert list(opener.steps(tmp_path / "good.pkl")) == [{"x": 1}]
        assert opener._process is not None
        kept = opener._process.pid
        next(opener.steps(tmp_path / "good.pkl"))  # let go before its end
        assert list(opener.steps(tmp_path / "good.pkl")) == [{"x": 1}]
        assert opener._process.pid == kept
        os.kill(kept, signal.SIGKILL)
        with suppress(EpisodeFormatError):
            list(opener.steps(tmp_path / "good.pkl"))
        assert list(opener.steps(tmp_path / "good.pkl")) == [{"x": 1}]


ANSWER = """
import contextlib, os, socket
asker = socket.socket(fileno=0)
_, (_, out, _), *_ = socket.recv_fds(asker, 100, 3)
with contextlib.suppress(BrokenPipeError):
    os.write(out, {sent!r}.encode())
os.close(out)
asker.sendall({ended!r})
"""


def test_what_the_process_sends_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "child.py"
    monkeypatch.setattr(opening.program, "__file__", str(program))
    for sent in (
        "{",
        "[]\n",
        '{"plain": 1, "arrays": []}\n',
        '{"plain": {}, "arrays": [["x", "O", [1], false]]}\n        ',
        '{"plain": {}, "arrays": [["x", "<f8", [-1], false]]}\n        ',
        '{"plain": {}, "arrays": [["x", "<f8", [1000], false]]}\n        ',
        "x" * 2_000_000,
    ):
        program.write_text(ANSWER.format(sent=sent, ended=b"0\n"))
        with pytest.raises(EpisodeFormatError, match="this pickle was not taken: the process that read it sent"):
            read(tmp_path, [{}])
    for ended, says in ((b"-6\n", "ended with -6"), (b"", "went away")):
        program.write_text(ANSWER.format(sent="", ended=ended))
        with pytest.raises(EpisodeFormatError, match=says):
            read(tmp_path, [{}])


@settings(max_examples=10, deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    with suppress(EpisodeFormatError):
        assert all(type(step) is dict for step in read(tmp_path_factory.mktemp("any"), PROTOCOL_4 + data))
