"""RLDS datasets made for tests: a few lines that write what TensorFlow Datasets writes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from episodes.formats.rlds.crc32c import crc32c


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def feature(values: Any) -> bytes:
    """One `tf.train.Feature`: bytes, floats or whole numbers."""
    if isinstance(values, list):
        return field(1, b"".join(field(1, value) for value in values))
    flat = np.asarray(values).reshape(-1)
    if flat.dtype.kind == "f":
        return field(2, field(1, flat.astype("<f4").tobytes()))
    return field(3, field(1, b"".join(varint(int(value)) for value in flat)))


def example(values: Mapping[str, Any]) -> bytes:
    entries = (field(1, key.encode()) + field(2, feature(value)) for key, value in values.items())
    return field(1, b"".join(field(1, entry) for entry in entries))


def framed(data: bytes) -> bytes:
    def masked(part: bytes) -> bytes:
        crc = crc32c(part)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def described(values: Mapping[str, Any]) -> dict[str, Any]:
    """`features.json` of an episode's values."""

    def leaf(value: Any) -> dict[str, Any]:
        if isinstance(value, list):
            return {"text": {}} if value[0][:1].isalpha() else {"image": {"encodingFormat": "jpeg"}}
        return {"tensor": {"shape": {"dimensions": [str(size) for size in np.shape(value)[1:]]}, "encoding": "none"}}

    tree: dict[str, Any] = {"featuresDict": {"features": {}}}
    for key, value in values.items():
        node, *parts = tree, *key.split("/")
        for part in parts[:-1]:
            inner = node["featuresDict"]["features"].setdefault(part, {"featuresDict": {"features": {}}})
            node = inner["sequence"]["feature"] if "sequence" in inner else inner
            if part == "steps" and "sequence" not in inner:
                inner["sequence"] = {"feature": {"featuresDict": inner.pop("featuresDict")}}
                node = inner["sequence"]["feature"]
        node["featuresDict"]["features"][parts[-1]] = leaf(value)
    return tree


def write_rlds(folder: Path, episodes: Sequence[Mapping[str, Any]], shards: int = 1) -> Path:
    """A dataset `made` of one split with these episodes."""
    folder.mkdir(parents=True)
    (folder / "features.json").write_text(json.dumps(described(episodes[0])))
    parts = [episodes[shard::shards] for shard in range(shards)]
    split = {"name": "train", "shardLengths": [str(len(part)) for part in parts]}
    (folder / "dataset_info.json").write_text(json.dumps({"name": "made", "splits": [split]}))
    for shard, part in enumerate(parts):
        data = b"".join(framed(example(episode)) for episode in part)
        (folder / f"made-train.tfrecord-{shard:05d}-of-{shards:05d}").write_bytes(data)
    return folder


def episode_values(length: int = 4, seed: int = 0, **more: Any) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    values = {
        "steps/action": random.normal(size=(length, 3)).astype(np.float32),
        "steps/observation/state": random.normal(size=(length, 5)).astype(np.float32),
        "steps/reward": np.zeros(length, np.float32),
        "steps/is_first": np.arange(length) == 0,
        "steps/language_instruction": [b"push it"] * length,
    }
    return values | more
