"""The journal: after a crash at any byte, every whole record is read and nothing else."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused
from robot_io.journal import Journal, Record, encode, read_journal

RECORDS = (
    Record("start", {"session": "s", "unit": "°"}),
    Record("step", {"t": 0}, {"pose": np.arange(7.0), "frame": np.frombuffer(b"\xff\xd8jpeg", np.uint8)}),
    Record("step", {"t": 1}, {"none": np.empty((0, 3), np.float32), "big": np.arange(3, dtype=">i4")}),
    Record("end", {}),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "s.rec"
    journal = Journal(path)
    for record in RECORDS:
        journal.append(record.kind, record.detail, record.arrays)
    journal.close()
    return path


def same(found: Record, written: Record) -> bool:
    return (
        (found.kind, found.detail, found.arrays.keys()) == (written.kind, written.detail, written.arrays.keys())
        and all(np.array_equal(found.arrays[name], array) for name, array in written.arrays.items())
        and all(found.arrays[name].shape == array.shape for name, array in written.arrays.items())
    )


def test_what_was_written_is_read(path: Path) -> None:
    text = read_journal(path)
    assert text.bytes_cut == 0
    assert len(text.records) == 4
    assert all(same(found, written) for found, written in zip(text.records, RECORDS, strict=True))
    assert text.records[1].arrays["pose"].dtype == np.dtype("<f8")


def test_a_crash_at_any_byte_leaves_every_whole_record(path: Path) -> None:
    data = path.read_bytes()
    ends = np.cumsum([len(encode(i, record)) for i, record in enumerate(RECORDS)])
    assert ends[-1] == len(data)
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        text = read_journal(path)
        whole = int((ends <= size).sum())
        assert len(text.records) == whole
        assert text.bytes_cut == size - (ends[whole - 1] if whole else 0)


def test_one_flipped_byte_anywhere_cuts_from_its_record_on(path: Path) -> None:
    data = path.read_bytes()
    ends = np.cumsum([len(encode(i, record)) for i, record in enumerate(RECORDS)])
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
        assert len(read_journal(path).records) == int((ends <= at).sum())


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_records(data: bytes) -> None:
    path = Path(f"/proc/self/fd/{os.memfd_create('journal')}")
    try:
        path.write_bytes(data)
        text = read_journal(path)
    finally:
        os.close(int(path.name))
    assert (text.records, text.bytes_cut) == ((), len(data))


def test_a_record_of_another_place_is_not_taken(path: Path) -> None:
    path.write_bytes(encode(0, RECORDS[0]) + encode(2, RECORDS[3]))
    assert len(read_journal(path).records) == 1


def test_a_journal_that_is_there_is_not_overwritten(path: Path) -> None:
    with pytest.raises(DataRefused, match="recover it first"):
        Journal(path)
    assert len(read_journal(path).records) == 4


def test_a_full_disk_keeps_the_records_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "s.rec")
    journal.append("start", {})
    write, left = os.write, [7]

    def full(file: int, data: Any) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "no space left on device")
        part = bytes(data)[: left[0]]
        left[0] -= len(part)
        return write(file, part)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DataRefused, match="full"):
        journal.append("step", {"t": 0})
    left[0] = 10**6
    journal.append("step", {"t": 1})
    journal.close()
    text = read_journal(journal.path)
    assert [record.detail for record in text.records] == [{}, {"t": 1}]
    assert text.bytes_cut == 0


def test_a_sync_that_fails_is_told_at_the_next_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(file: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    journal = Journal(tmp_path / "s.rec", sync_every_s=0.001)
    journal.append("start", {})
    journal._syncer.join()
    with pytest.raises(OSError, match="input/output"):
        journal.append("step", {})
    journal.close()
