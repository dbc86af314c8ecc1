"""The columns of an exported LeRobot dataset: settled from the shapes of all its episodes before the first is written.

A policy learns from `observation.state`, `action` and the cameras: all episodes have each of them in one shape, or
none has it. Any other column is there where one episode has it, with NaN (or empty text) where another has not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from episodes import hdf5
from episodes.errors import DataRefused
from episodes.formats import note
from episodes.formats.exporting import CURVES, Leaving
from episodes.formats.lerobot.export_stats import STATISTICS
from episodes.store import EpisodeStore

MORE = "complementary_info."
NUMBERS = {
    "observation.state": ("observation/proprio", "proprio", "float32"),
    "observation.ee_pose": ("observation/ee_pose", "ee_pose", "float64"),
    "observation.wrench": ("observation/wrench", "wrench", "float32"),
    "action": ("action/executed", "executed_action", "float32"),
    f"{MORE}policy_action": ("action/policy", "policy_action", "float32"),
    f"{MORE}human_action": ("action/human", "human_action", "float32"),
    f"{MORE}raw_command": ("action/raw", "raw_action", "float32"),
    "next.reward": ("reward", "reward", "float32"),
}
"""column -> place in the episode's file, name in `Episode`, dtype"""
SHARED = ("observation.state", "action")
CAMERA = "observation.images."
_CAMERAS_AT = "observation/images/"
_SCALARS = {
    "next.done": "bool",
    f"{MORE}is_intervention": "float32",
    f"{MORE}control_mode": "string",
    f"{MORE}time_s": "float64",
    "timestamp": "float32",
    **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64"),
}
"""columns with one value a step that every dataset has -> dtype"""
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

Features = dict[str, dict[str, Any]]


def settle(store: EpisodeStore, episodes: Sequence[Leaving]) -> Features:
    """The `features` of `info.json`. Raises `DataRefused` where the episodes do not fit into one dataset."""
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    extra: dict[str, str] = {}
    for leaving in episodes:
        shapes = hdf5.shapes(store.path(leaving.episode_id))
        own = _own_shapes(shapes)
        for key, shape in own.items():
            expected, by = found.setdefault(key, (shape, leaving.episode_id))
            if shape != expected:
                raise _unlike(key, f"of shape {shape}", leaving.episode_id, f"of shape {expected}", by)
        _check_shared(own, found, leaving.episode_id, episodes[0].episode_id)
        extra |= _extra(store, leaving, shapes)
    names = _names(store, episodes[0].episode_id)
    features = {key: _feature(key, shape, names) for key, (shape, _) in found.items()}
    return features | {key: {"dtype": dtype, "shape": [1], "names": None} for key, dtype in (extra | _SCALARS).items()}


def schema_of(features: Features) -> pa.Schema:
    """The Arrow schema of the data files, with the types that Hugging Face's `datasets` reads them as."""
    fields = [pa.field(key, _arrow_type(feature)) for key, feature in features.items()]
    told = {"info": {"features": {key: _hub_type(feature) for key, feature in features.items()}}}
    return pa.schema(fields, metadata={"huggingface": json.dumps(told)})


def episode_schema(features: Features) -> pa.Schema:
    """The Arrow schema of `meta/episodes`."""
    counts = ("length", "data/chunk_index", "data/file_index", "dataset_from_index", "dataset_to_index")
    places = ("meta/episodes/chunk_index", "meta/episodes/file_index")
    fields: dict[str, pa.DataType] = {"episode_index": pa.int64(), "tasks": pa.list_(pa.string())}
    fields |= dict.fromkeys(counts, pa.int64()) | {"episode_success": pa.string(), note.KEY: pa.string()}
    for key, feature in features.items():
        if feature["dtype"] != "string":
            image = feature["dtype"] == "image"
            value = pa.list_(pa.list_(pa.list_(pa.float64()))) if image else pa.list_(pa.float64())
            for name in STATISTICS:
                fields[f"stats/{key}/{name}"] = pa.list_(pa.int64()) if name == "count" else value
    return pa.schema(fields | dict.fromkeys(places, pa.int64()))


def tasks_table(instructions: Sequence[str]) -> pa.Table:
    """`meta/tasks.parquet` as pandas writes it, with the text as the index: LeRobot reads it with pandas."""
    told = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [],
        "columns": [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
            {"name": None, "field_name": "__index_level_0__", "pandas_type": "unicode", "numpy_type": "object"},
        ],
    }
    columns = {"task_index": pa.array(range(len(instructions))), "__index_level_0__": pa.array(instructions)}
    return pa.table(columns, metadata={"pandas": json.dumps(told)})


def arrow(values: Any, wanted: pa.DataType) -> pa.Array:
    """One column of one episode as Arrow."""
    if isinstance(values, list):
        return pa.array(values, wanted)
    if not pa.types.is_fixed_size_list(wanted):
        return pa.array(np.asarray(values, wanted.to_pandas_dtype()).reshape(-1))
    flat = np.ascontiguousarray(values, wanted.value_type.to_pandas_dtype()).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), wanted.list_size)


def nothing(feature: dict[str, Any], length: int) -> Any:
    """The column of an episode that has no such values."""
    if feature["dtype"] == "string":
        return [""] * length
    return np.full((length, *feature["shape"]) if feature["shape"] != [1] else length, np.nan)


def _own_shapes(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    own = {key: shapes[place][1:] or (1,) for key, (place, _, _) in NUMBERS.items() if place in shapes}
    cameras = {path: shape for path, shape in shapes.items() if path.startswith(_CAMERAS_AT) and len(shape) == 4}
    return own | {CAMERA + path.removeprefix(_CAMERAS_AT): shape[1:] for path, shape in cameras.items()}


def _check_shared(own: dict[str, tuple[int, ...]], found: Any, episode_id: str, first: str) -> None:
    for key in found:
        if (key in SHARED or key.startswith(CAMERA)) and key not in own:
            raise _unlike(key, "absent", episode_id, "there", found[key][1])
        if (key in SHARED or key.startswith(CAMERA)) and found[key][1] == episode_id != first:
            raise _unlike(key, "there", episode_id, "absent", first)


def _unlike(key: str, this: str, episode_id: str, that: str, other: str) -> DataRefused:
    what = f"{key} is {this} in episode {episode_id} and {that} in {other}"
    return DataRefused(f"{what}; a LeRobot dataset has it one way: choose with --task or --session")


def _extra(store: EpisodeStore, leaving: Leaving, shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """The columns with one value a step that this episode brings along."""
    outcome = leaving.success or store.attributes(leaving.episode_id)["success"]
    told = {"next.success": "bool"} if outcome != "unknown" else {}
    told |= {f"{MORE}collector_policy_id": "string"} if "action/policy_id" in shapes else {}
    return told | {f"{MORE}{name}": "float32" for name in CURVES if name in leaving.curves()}


def _names(store: EpisodeStore, episode_id: str) -> dict[str, Sequence[str]]:
    """What the values of a column are called, as far as the first episode says it."""
    episode = store.read(episode_id, images=False)
    actions = episode.action_space.get("names") or ()
    return {
        "observation.state": episode.proprio_names,
        "observation.ee_pose": ("x", "y", "z", "qx", "qy", "qz", "qw"),
        "observation.wrench": ("fx", "fy", "fz", "tx", "ty", "tz"),
        **dict.fromkeys(("action", f"{MORE}policy_action", f"{MORE}human_action"), actions),
    }


def _feature(key: str, shape: tuple[int, ...], names: dict[str, Sequence[str]]) -> dict[str, Any]:
    if key.startswith(CAMERA):
        return {"dtype": "image", "shape": list(shape), "names": ["height", "width", "channels"]}
    given = list(map(str, names.get(key, ())))
    return {"dtype": NUMBERS[key][2], "shape": list(shape), "names": given if len(given) == shape[0] else None}


def _arrow_type(feature: dict[str, Any]) -> pa.DataType:
    if feature["dtype"] == "image":
        return _IMAGE
    one = pa.type_for_alias(feature["dtype"])
    return one if feature["shape"] == [1] else pa.list_(one, feature["shape"][0])


def _hub_type(feature: dict[str, Any]) -> dict[str, Any]:
    if feature["dtype"] == "image":
        return {"_type": "Image"}
    one = {"dtype": feature["dtype"], "_type": "Value"}
    return one if feature["shape"] == [1] else {"feature": one, "length": feature["shape"][0], "_type": "List"}
