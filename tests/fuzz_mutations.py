"""Ways to spoil a file: bytes of any, values of JSON, datasets of HDF5, columns of Parquet; the same for one seed."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ODD = [
    None, True, 0, -1, 2**31, 2**63 - 1, 10**30, 0.5, 1e308, -1e-308, float("nan"), float("inf"), "", "a", "\x00",
    "../x", "é" * 300, [], [[]], [1, "a"], {}, {"a": {}},
]  # fmt: skip
ODD_ARRAYS = [
    np.zeros(0), np.zeros((0, 3)), np.zeros((5, 0)), np.float64(np.nan), np.full((5, 7), np.inf), np.array(b"text"),
    np.arange(6).reshape(1, 2, 3), np.array([True, False]), np.array([1 + 2j]), np.zeros((5, 4, 4, 3), np.uint8),
    np.array([2**64 - 1], np.uint64), np.array([b"a", b""]), np.zeros(3, [("x", "f4"), ("y", "S3")]),
]  # fmt: skip
ODD_NUMBERS = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00" * 8, b"\xff" * 8, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80")


def spoil(path: Path, random: Random) -> None:
    """Change the file in place: half of the time in what it means, where its format is known, else in its bytes."""
    try:
        if random.random() < 0.5 and (meant := _MEANT.get(path.suffix)) is not None:
            return meant(path, random)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, pa.ArrowException):
        pass  # the value does not fit there: spoil bytes
    data = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 1, 2, 8))):
        random.choice(_BYTES)(data, random)
    path.write_bytes(data)
    return None


def _flip(data: bytearray, random: Random) -> None:
    if data:
        data[_place(data, random)] ^= 1 << random.randrange(8)


def _number(data: bytearray, random: Random) -> None:
    start, number = _place(data, random), random.choice(ODD_NUMBERS)
    data[start : start + len(number)] = number


def _cut(data: bytearray, random: Random) -> None:
    del data[_place(data, random) :]


def _drop(data: bytearray, random: Random) -> None:
    start = _place(data, random)
    del data[start : start + random.choice((1, 4, 64, 1024))]


def _repeat(data: bytearray, random: Random) -> None:
    start, to = _place(data, random), _place(data, random)
    data[to:to] = data[start : start + random.choice((1, 4, 64, 1024))]


def _place(data: bytearray, random: Random) -> int:
    """Anywhere, more often near the ends, where headers and footers stand."""
    near = random.randrange(min(len(data), 512) or 1)
    return random.choice((near, max(len(data) - 1 - near, 0), random.randrange(len(data) or 1)))


_BYTES = (_flip, _flip, _number, _number, _cut, _drop, _repeat)


def _json(path: Path, random: Random) -> None:
    content = json.loads(path.read_text())
    place, key = random.choice(list(_leaves(content)))
    if random.random() < 0.2:
        del place[key]
    else:
        place[key] = random.choice(ODD)
    path.write_text(json.dumps(content))


def _leaves(content: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    return [found for key in keys for found in [(content, key), *_leaves(content[key])]]


def _hdf5(path: Path, random: Random) -> None:
    with h5py.File(path, "r+") as file:
        items: list[str] = []
        file.visit(items.append)
        name = random.choice(items)
        if random.random() < 0.3:
            _attribute(file[name], random)
        else:
            was = file[name]
            shape = was.shape if isinstance(was, h5py.Dataset) and was.shape else (5, 7)
            del file[name]
            value = random.choice([*ODD_ARRAYS, np.zeros(shape), np.zeros((shape[0] + 1, *shape[1:]), np.int8)])
            if random.random() < 0.8:
                file[name] = value


def _attribute(item: h5py.Group | h5py.Dataset, random: Random) -> None:
    name = random.choice([*item.attrs, "env_args", "success", "model_file"])
    item.attrs[name] = random.choice([*ODD_ARRAYS[:9], "", "{}", "[1]", "a" * 5000, -1])


def _parquet(path: Path, random: Random) -> None:
    table = pq.read_table(path)
    k = random.randrange(table.num_columns)
    rows = table.num_rows
    floats = [random.choice((0.5, 1e308, np.nan, np.inf))] * rows
    odd = [
        pa.nulls(rows),
        pa.array(floats),
        pa.array([""] * rows),
        pa.array([-1] * rows),
    ]
    odd += [
        pa.array([[0.0] * (i % 3) for i in range(rows)]),
        pa.array([{"a": 1}] * rows),
        pa.array([b"\xff\xd8"] * rows),
    ]
    spoiled = random.choice(
        [
            lambda: table.set_column(k, table.column_names[k], random.choice(odd)),
            lambda: table.remove_column(k),
            lambda: table.slice(0, random.randrange(rows + 1)),
            lambda: pa.concat_tables([table, table]),
        ]
    )
    pq.write_table(spoiled(), path)


_MEANT = {".json": _json, ".hdf5": _hdf5, ".h5": _hdf5, ".parquet": _parquet}
