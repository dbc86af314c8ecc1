"""LeRobot's half of the comparison; runs in the peers' Python and imports nothing of ours.

Orders come as JSON lines on stdin, answers go as JSON lines to stdout, data lies in files. It is the package as it is
published: its default settings, and the fastest that its documentation names for the job.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image

torch.set_num_threads(1)
SETTINGS: dict[str, dict[str, Any]] = {
    "lerobot_video": {},
    "lerobot_video_streaming": {"streaming_encoding": True},
    "lerobot_image": {"use_videos": False},
    "lerobot_no_images": {"use_videos": False},
}
"""by the peer's name in the table; the first is the default"""


def write(source: str, destination: str, peer: str) -> dict[str, Any]:
    """Convert the JPEG episodes at `source`; CPU seconds of all that it takes."""
    shutil.rmtree(destination, ignore_errors=True)
    start = _cpu_s()
    frames = _convert(Path(source), Path(destination), peer)
    size = sum(path.stat().st_size for path in Path(destination).rglob("*") if path.is_file())
    return {"seconds": _cpu_s() - start, "frames": frames, "bytes": size}


def _convert(source: Path, destination: Path, peer: str) -> int:
    cameras, dataset, frames = ("third", "wrist") if peer != "lerobot_no_images" else (), None, 0
    for path in sorted(source.glob("*/episode.json")):
        for step in json.loads(path.read_text())["steps"]:
            pictures = {c: np.array(Image.open(path.parent / step[f"{c}_rgb"]).convert("RGB")) for c in cameras}
            if dataset is None:
                dataset = LeRobotDataset.create(
                    "local/measured", 10, _features(pictures, peer), root=destination, **SETTINGS[peer]
                )
            row = {f"observation.images.{camera}": picture for camera, picture in pictures.items()}
            row |= {"observation.state": np.array(step["ee_pose"], np.float32)}
            dataset.add_frame({**row, "action": np.array(step["action"], np.float32), "task": "move"})
            frames += len(pictures)
        dataset.save_episode()
    dataset.finalize()
    return frames


def _features(pictures: dict[str, Any], peer: str) -> dict[str, Any]:
    kind = "video" if SETTINGS[peer].get("use_videos", True) else "image"
    names = ["height", "width", "channels"]
    shown = {f"observation.images.{c}": {"dtype": kind, "shape": p.shape, "names": names} for c, p in pictures.items()}
    numbers = {"dtype": "float32", "shape": (7,), "names": None}
    return {**shown, "observation.state": numbers, "action": numbers}


OPEN: dict[str, LeRobotDataset] = {}


def open_dataset(root: str, name: str, chunk: int) -> dict[str, Any]:
    """Keep the dataset at `root` open under `name`; with `chunk`, each sample has so many actions."""
    chunks = {"action": [k / 10 for k in range(chunk)]} if chunk else None
    OPEN[name] = LeRobotDataset("local/measured", root=root, delta_timestamps=chunks)
    return {"samples": len(OPEN[name]), "backend": OPEN[name].video_backend}


def read(name: str, asked: list[int]) -> dict[str, Any]:
    """CPU seconds a sample."""
    dataset, start = OPEN[name], _cpu_s()
    for index in asked:
        dataset[index]
    return {"seconds": (_cpu_s() - start) / len(asked)}


def _cpu_s() -> float:
    """Of this process with all its threads, and of the encoders that it has waited for."""
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def show(name: str, index: int, destination: str) -> dict[str, Any]:
    """Write one sample as arrays, for the other half to compare."""
    sample = {key: np.asarray(value) for key, value in OPEN[name][index].items() if not isinstance(value, str)}
    np.savez(destination, **sample)
    return {}


ORDERS = {"write": write, "open": open_dataset, "read": read, "show": show}


def main() -> None:
    """Obey until stdin ends; what the libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(ORDERS[order.pop("do")](**order)), file=answers, flush=True)


if __name__ == "__main__":
    main()
