"""RTDE packages: golden bytes, and the same packages however the stream is cut."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_io.ursim.wire import Kind, Packages, Recipe, WireError, names_in, package, text_package

packages = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=6)


@given(packages, st.lists(st.integers(1, 7), min_size=1))
def test_packages_are_the_same_however_the_stream_is_cut(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream, reader, found = b"".join(package(*one) for one in sent), Packages(), []
    while stream:
        size = cuts[len(stream) % len(cuts)]
        found += list(reader.feed(stream[:size]))
        stream = stream[size:]
    assert found == sent


def test_a_package_is_its_size_its_kind_and_its_payload() -> None:
    assert package(Kind.PROTOCOL, struct.pack(">H", 2)) == bytes.fromhex("0005560002")
    assert package(Kind.START) == bytes.fromhex("000353")
    assert text_package("ab", "c", 1) == bytes.fromhex("00094d026162016301")


def test_a_size_below_the_head_is_no_package() -> None:
    with pytest.raises(WireError, match="2 bytes"):
        list(Packages().feed(b"\x00\x02V"))


def test_a_recipe_packs_without_padding() -> None:
    recipe = Recipe(3, ["a", "b", "c"], ["UINT8", "DOUBLE", "VECTOR6INT32"])
    payload = recipe.pack([7, 1.0, [1, 2, 3, 4, 5, -1]])
    assert payload == bytes.fromhex("03073ff00000000000000000000100000002000000030000000400000005ffffffff")
    assert recipe.size == len(payload) == 34


@given(
    st.floats(allow_nan=False), st.lists(st.floats(allow_nan=False), min_size=6, max_size=6), st.integers(0, 2**64 - 1)
)
def test_values_come_back(number: float, vector: list[float], word: int) -> None:
    recipe = Recipe(1, ["number", "vector", "word"], ["DOUBLE", "VECTOR6D", "UINT64"])
    assert recipe.unpack(recipe.pack([number, vector, word])) == (number, tuple(vector), word)


def test_a_payload_of_another_size_is_refused() -> None:
    with pytest.raises(WireError, match="9 bytes and got 8"):
        Recipe(1, ["a"], ["DOUBLE"]).unpack(b"\x01" + bytes(7))


def test_a_comma_behind_the_last_name_is_no_name() -> None:
    assert names_in(b"timestamp,actual_q,") == ["timestamp", "actual_q"]
