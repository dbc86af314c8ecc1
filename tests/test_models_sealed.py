"""A changed byte of a sealed file shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import IntegrityError
from models.sealed import as_written, read_sealed, seal, unseal, write_sealed

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_what_was_sealed_comes_back(content: dict[str, object]) -> None:
    assert unseal(seal(content), "f", "d") == content


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_any_flipped_bit_is_seen(place: int, bit: int) -> None:
    text = bytearray(seal({"threshold": 0.25, "names": ["a", "b"]}))
    text[place % len(text)] ^= 1 << bit
    with pytest.raises(IntegrityError, match="f in d is not what was written"):
        unseal(bytes(text), "f", "d")


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"content":[],"sha256":""}', b"\xff", b'{"content":1}'])
def test_what_is_no_seal_is_refused(text: bytes) -> None:
    with pytest.raises(IntegrityError):
        unseal(text, "f", "d")


def test_an_edit_by_hand_is_seen_even_where_it_means_the_same(tmp_path: Path) -> None:
    write_sealed(tmp_path / "d" / "f.json", {"a": 1})
    assert read_sealed(tmp_path / "d" / "f.json") == {"a": 1}
    (tmp_path / "d" / "f.json").write_text(json.dumps(json.loads((tmp_path / "d" / "f.json").read_text())))
    with pytest.raises(IntegrityError, match=r"f\.json in d"):
        read_sealed(tmp_path / "d" / "f.json")
    with pytest.raises(IntegrityError, match=r"no g\.json in d"):
        read_sealed(tmp_path / "d" / "g.json")


def test_intact_files_of_another_version_are_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="another version of Regrasp"), as_written(tmp_path):
        dict[str, int]()["new_field"]
