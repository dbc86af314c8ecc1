"""Our half of the comparison with LeRobot: the other half runs in a Python of its own and takes its turns by message.

What is compared is what a person does with either: convert JPEG episodes, draw a random sample of both cameras with
state and action, draw a chunk of actions. Losses of LeRobot's video are told as PSNR, sizes as bytes a frame.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from episodes.formats import import_dataset
from episodes.record import Array
from episodes.store import EpisodeStore
from speed.material import CAMERAS, SIZES, json_dataset
from speed.rounds import compare, timed

WRITTEN = ("lerobot_video", "lerobot_video_streaming", "lerobot_image")
READ = ("lerobot_video", "lerobot_image")
CHUNK, READS, LENGTH = 8, 20, 30

Ask = Callable[..., dict[str, Any]]


@contextmanager
def peer(python: Path) -> Iterator[Ask]:
    """The other half, to be asked as `ask("write", source=..., ...)`; it ends with the block."""
    command = [str(python), str(Path(__file__).with_name("lerobot_half.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        orders, answers = process.stdin, process.stdout

        def ask(do: str, **order: Any) -> dict[str, Any]:
            print(json.dumps({"do": do, **order}, default=str), file=orders, flush=True)
            line = answers.readline()
            if not line:
                raise SystemExit(f"the peer ended at {do!r}; what it said is above")
            answer: dict[str, Any] = json.loads(line)
            return answer

        yield ask


def compare_with_peers(folder: Path, python: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """The lines of every stage in which LeRobot has a part."""
    for size, shape in SIZES.items():
        source = json_dataset(folder / f"peer {size}", shape, episodes=1, length=LENGTH)
        with peer(python) as ask:
            yield _converting(folder, source, size, ask, rounds)
            yield from _sampling(folder, source, size, ask, rounds)


def _converting(folder: Path, source: Path, size: str, ask: Ask, rounds: int) -> dict[str, Any]:
    fresh = (folder / f"peer {size} store" / str(k) for k in range(rounds))
    frames = LENGTH * len(CAMERAS)
    there = {name: folder / f"{size} {name}" for name in WRITTEN}
    written = {name: ask("write", source=source, destination=place, peer=name) for name, place in there.items()}
    stored = sum(path.stat().st_size for path in source.rglob("*.jpg"))
    told = {f"bytes_a_frame_{name}": answer["bytes"] / frames for name, answer in written.items()}

    def theirs(name: str) -> Callable[[], float]:
        return lambda: ask("write", source=source, destination=there[name], peer=name)["seconds"] / frames

    candidates = {"ours": lambda: timed(lambda: import_dataset(source, next(fresh))) / frames}
    candidates |= {name: theirs(name) for name in WRITTEN}
    stage = f"convert JPEG episodes, {size}, LeRobot"
    return compare(stage, frames, candidates, rounds=rounds, bytes_a_frame=stored / frames, **told)


def _sampling(folder: Path, source: Path, size: str, ask: Ask, rounds: int) -> Iterator[dict[str, Any]]:
    store = EpisodeStore(root := folder / f"peer {size} read")
    episode = import_dataset(source, root).imported[0]
    asked = np.random.default_rng(0).integers(0, LENGTH - CHUNK, READS).tolist()
    places = {name: folder / f"{size} {name}" for name in (*READ, "lerobot_no_images")}
    ask("write", source=source, destination=places["lerobot_no_images"], peer="lerobot_no_images")

    def sample(t: int) -> list[Array]:
        pictures = [store.frame(episode, camera, t) for camera in CAMERAS]
        return [*pictures, *(store.rows(episode, name, t, t + 1) for name in ("ee_pose", "executed_action"))]

    def theirs(name: str) -> Callable[[], float]:
        return lambda: ask("read", name=name, asked=asked)["seconds"]

    told = {}
    for name in READ:
        backend = ask("open", root=places[name], name=name, chunk=0)["backend"]
        told |= {f"psnr_db_{name}": _psnr(ask, name, 20, folder, sample(20)), f"backend_{name}": backend}
    ours = {"ours": lambda: timed(lambda: [sample(t) for t in asked]) / READS}
    pairs = ours | {name: theirs(name) for name in READ}
    yield compare(f"random sample of both cameras, {size}, LeRobot", READS, pairs, rounds=rounds, **told)
    for name in (*READ, "lerobot_no_images"):
        ask("open", root=places[name], name=name, chunk=CHUNK)
    ours = {
        "ours": lambda: timed(lambda: [store.rows(episode, "executed_action", t, t + CHUNK) for t in asked]) / READS
    }
    pairs = ours | {name: theirs(name) for name in (*READ, "lerobot_no_images")}
    yield compare(f"chunk of actions, {size}, LeRobot", READS, pairs, rounds=rounds)


def _psnr(ask: Ask, name: str, t: int, folder: Path, ours: list[Array]) -> float:
    """How near LeRobot's picture is to the camera's; its numbers must be equal to ours."""
    ask("show", name=name, index=t, destination=folder / "sample.npz")
    with np.load(folder / "sample.npz") as theirs:
        numbers = [theirs["observation.state"], theirs["action"]]
        pictures = [theirs[f"observation.images.{camera}"] for camera in CAMERAS]
    if not all(np.allclose(found, rows[0]) for found, rows in zip(numbers, ours[len(CAMERAS) :], strict=True)):
        raise SystemExit(f"{name} gives other numbers than were written")
    error = [np.moveaxis(found, 0, 2) * 255.0 - rgb for found, rgb in zip(pictures, ours, strict=False)]
    worst_db = float(10 * np.log10(255.0**2 / max(np.mean(np.square(error)), 1e-12)))
    if worst_db < 25:
        raise SystemExit(f"{name} shows another picture than was written ({worst_db:.1f} dB)")
    return worst_db
