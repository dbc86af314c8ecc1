"""The store on a disk that fills up, lies or decays: nothing half-written, and what was changed is found and named."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from episode_samples import sample_episode
from full_disk import full_disk, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes import hdf5, workspace
from episodes.errors import DataRefused, EpisodeFormatError, IntegrityError, RegraspError
from episodes.store import EpisodeStore


@pytest.mark.parametrize("keep", [0.0, 0.5, 1.0])
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: float) -> None:
    store = EpisodeStore(tmp_path)
    store.write(sample_episode(1))
    before = stored(tmp_path)
    with full_disk(monkeypatch, keep):
        store.write(sample_episode(2))
    assert stored(tmp_path) == before
    assert not list(tmp_path.rglob("*.tmp"))
    store.write(sample_episode(2))
    assert len(store.ids()) == 2


def test_a_disk_that_writes_something_else_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = np.full((6, 8), 1234.5, np.float32)
    write = workspace._write_synced
    monkeypatch.setattr(
        workspace, "_write_synced", lambda path, data: write(path, data.replace(b"\x00P\x9aD", b"\x00P\x9aE", 1))
    )
    store = EpisodeStore(tmp_path)
    with pytest.raises(IntegrityError, match="observation/proprio"):
        store.write(sample_episode(proprio=marker))
    assert store.ids() == []


def test_what_a_killed_writer_left_is_cleared(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    store.write(sample_episode(1))
    torn = tmp_path / "episodes" / "monday" / ".0123456789abcdef.h5.1-2.tmp"
    torn.write_bytes(b"half")
    assert len(store.ids()) == 1
    store.write(sample_episode(2))
    assert not torn.exists()


def damaged(tmp_path: Path, data: bytes) -> tuple[EpisodeStore, str]:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    store.path(name).write_bytes(data)
    return EpisodeStore(tmp_path), name


@pytest.mark.parametrize("keep", [0, 10, 600, 3000])
def test_truncated_files_are_named(tmp_path: Path, keep: int) -> None:
    whole = sample_episode()
    other = EpisodeStore(tmp_path / "other")
    store, name = damaged(tmp_path, other.path(other.write(whole)).read_bytes()[:keep])
    good = store.write(sample_episode(5))
    with pytest.raises(EpisodeFormatError, match="restore it from a copy") as caught:
        store.read(name)
    assert caught.value.file == f"{name}.h5"
    assert store.ids() == sorted([name, good])
    assert store.tasks() == ["tube_insertion"]


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(flips: list[tuple[float, int]]) -> None:
    """Whatever bytes a disk gives back: an episode or a sentence, never an exception of a library."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.h5"
        data = bytearray(whole_file())
        for place, value in flips:
            data[int(place * len(data))] = value
        path.write_bytes(data)
        with suppress(RegraspError):
            assert len(hdf5.decode(path)) > 0
        with suppress(RegraspError):
            assert hdf5.attributes(path)["length"] > 0
        with suppress(RegraspError):
            tables = hdf5.tables(path)
            assert all(isinstance(table.frame(2), bytes) for table in tables.frames.values())
            assert all(len(table.rows(2, 4)) == 2 for table in tables.rows.values())


@cache
def whole_file() -> bytes:
    with TemporaryDirectory() as folder:
        store = EpisodeStore(folder)
        return store.path(store.write(sample_episode())).read_bytes()


def test_a_foreign_file_and_a_newer_schema_are_refused(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    with h5py.File(store.path(name), "a") as file:
        file.attrs["schema_version"] = 2
    with pytest.raises(EpisodeFormatError, match="schema version 2 is newer than the 1"):
        EpisodeStore(tmp_path).read(name)
    with h5py.File(store.path(name), "w") as file:
        file["x"] = 1
    with pytest.raises(EpisodeFormatError, match="another program") as caught:
        store.read(name)
    assert caught.value.key == "schema_version"


def test_a_newer_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "workspace.json").write_text('{"schema_version": 99}')
    with pytest.raises(DataRefused, match="newer Regrasp"):
        EpisodeStore(tmp_path)


@pytest.mark.parametrize(("step", "offset"), [(6, 10**9), (2, -5), (0, -1)])
def test_frame_offsets_that_cannot_be_are_refused(tmp_path: Path, step: int, offset: int) -> None:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    with h5py.File(store.path(name), "a") as file:
        file["observation/images/wrist/offsets"][step] = offset
    with pytest.raises(EpisodeFormatError, match="rising offsets"):
        store.frame(name, "wrist", 1)


@pytest.mark.parametrize("missing", ["time_s", "action/source"])
def test_a_missing_required_array_is_named(tmp_path: Path, missing: str) -> None:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    with h5py.File(store.path(name), "a") as file:
        del file[missing]
    with pytest.raises(EpisodeFormatError, match="required array") as caught:
        store.read(name)
    assert caught.value.key in missing.replace("action/source", "action_source")


def test_one_flipped_byte_is_found(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    store.verify(name)
    with h5py.File(store.path(name), "a") as file:
        file["action/executed"][0, 0] += 1
    with pytest.raises(IntegrityError, match="has changed on disk"):
        store.verify(name)
