"""Episodes: converting, reading frames, rows and lists, against other layouts and against the bare system calls.

`python -m speed.episodes [--rounds 16] [--peers PYTHON]` prints one JSON line a stage, CPU seconds a unit of `n`. One
process, one thread, files in the page cache. The floor of a stage is the same work in system calls and the decoder
alone; `vlen` is a file of variable-length JPEG in HDF5. With `--peers`, LeRobot and robomimic take their turns in a
Python of their own (`make peers`). What is read must be equal to what was written before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from episodes.images import decode
from episodes.store import EpisodeStore
from speed.material import CAMERAS, SIZES, json_dataset, many_names, stored_episodes
from speed.peers import compare_with_peers
from speed.rounds import compare, timed

WINDOW, CHUNK = 6, 8
"""steps of state before an action, and of actions after it"""
READS = 50
"""random reads a round"""
LISTED = 100_000


def converting(folder: Path, rounds: int) -> dict[str, Any]:
    """JPEG episodes of two VGA cameras into the store; the floor reads the same files and writes one."""
    from episodes.formats import import_dataset

    source = json_dataset(folder / "json", SIZES["VGA"], episodes=1, length=50)
    files = sorted(file for file in source.rglob("*") if file.is_file())
    frames = sum(file.suffix == ".jpg" for file in files)
    fresh = (folder / "converted" / str(k) for k in range(2 * rounds + 1))
    store, first = EpisodeStore(root := next(fresh)), import_dataset(source, root).imported[0]
    for camera in CAMERAS:
        there = (source / "episode_000000" / "frames" / f"{camera}_000007.jpg").read_bytes()
        _same(store.encoded(first, camera, 7)[0] == there, "a frame that was passed through")

    def floor() -> None:
        with (folder / "floor").open("wb") as file:
            for path in files:
                file.write(path.read_bytes())
            file.flush()
            os.fsync(file.fileno())

    candidates = {
        "ours": lambda: timed(lambda: import_dataset(source, next(fresh))) / frames,
        "floor": lambda: timed(floor) / frames,
    }
    return compare("convert JPEG episodes, VGA", frames, candidates, rounds=rounds)


def frames(folder: Path, rounds: int, size: str) -> Iterator[dict[str, Any]]:
    """A random frame of a random episode: its bytes, then its pixels."""
    store = stored_episodes(folder / size, SIZES[size], episodes=5, length=100)
    with ExitStack() as opened:
        fetch = _fetchers(store, folder / size, opened)
        for what, of in (("bytes of a frame", lambda data: data), ("random frame", lambda data: decode(data, "jpeg"))):
            yield _reading(f"{what}, {size}", store, rounds, {name: _then(get, of) for name, get in fetch.items()})


def _reading(stage: str, store: EpisodeStore, rounds: int, read: Mapping[str, Callable[[str, int], Any]]) -> Any:
    """The stage in which each candidate reads the same `READS` random (episode, step)."""
    rng = np.random.default_rng(0)
    asked = [(store.ids()[e], int(t)) for e, t in rng.integers(0, (len(store.ids()), 90), (READS, 2))]
    for where in asked[:20]:
        parts = [np.asarray(get(*where)) for get in read.values()]
        _same(all(np.array_equal(part, parts[0]) for part in parts), stage)

    def seconds(get: Callable[[str, int], Any]) -> Callable[[], float]:
        return lambda: timed(lambda: [get(*where) for where in asked]) / READS

    return compare(stage, READS, {name: seconds(get) for name, get in read.items()}, rounds=rounds)


def _fetchers(store: EpisodeStore, folder: Path, opened: ExitStack) -> dict[str, Callable[[str, int], Any]]:
    """How each candidate gets the bytes of frame t of an episode; the others keep their files open."""
    vlen: dict[str, h5py.Dataset] = {}
    blobs: dict[str, tuple[int, list[int]]] = {}
    for name in store.ids():
        frames = store.read(name).images["wrist"]
        with h5py.File(folder / f"{name}.vlen", "w") as file:
            kept = file.create_dataset("frames", (len(frames),), h5py.vlen_dtype(np.uint8))
            for t in range(len(frames)):
                kept[t] = np.frombuffer(frames.frame(t), np.uint8)
        vlen[name] = opened.enter_context(h5py.File(folder / f"{name}.vlen", "r"))["frames"]
        (folder / f"{name}.blob").write_bytes(frames.data.tobytes())
        blob = opened.enter_context((folder / f"{name}.blob").open("rb"))
        blobs[name] = blob.fileno(), frames.offsets.tolist()

    def pread(name: str, t: int) -> bytes:
        handle, offsets = blobs[name]
        return os.pread(handle, offsets[t + 1] - offsets[t], offsets[t])

    return {
        "ours": lambda name, t: store.encoded(name, "wrist", t)[0],
        "vlen": lambda name, t: vlen[name][t].tobytes(),
        "floor": pread,
    }


def rows(folder: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """A window of states, and a chunk of actions, of a random step; nothing is decoded."""
    store = EpisodeStore(folder / "VGA")
    with ExitStack() as opened:
        files = {name: opened.enter_context(h5py.File(store.path(name), "r", locking=False)) for name in store.ids()}
        for stage, parts, steps in (
            ("window of states", {"proprio": "observation/proprio", "ee_pose": "observation/ee_pose"}, WINDOW),
            ("chunk of actions", {"executed_action": "action/executed"}, CHUNK),
        ):
            yield _reading(f"{stage}, no images", store, rounds, _row_readers(store, files, parts, steps))


def _row_readers(
    store: EpisodeStore, files: Mapping[str, h5py.File], parts: Mapping[str, str], steps: int
) -> dict[str, Callable[[str, int], Any]]:
    """`steps` rows of `parts` (name in the record -> path in the file) side by side; h5py and floor keep files open."""
    arrays = {name: [file[path] for path in parts.values()] for name, file in files.items()}
    handles = {name: os.open(file.filename, os.O_RDONLY) for name, file in files.items()}
    places = {name: [(a.id.get_offset(), a.dtype, a.shape[1]) for a in found] for name, found in arrays.items()}

    def pread(name: str, t: int) -> list[Any]:
        found = []
        for start, dtype, columns in places[name]:
            size = dtype.itemsize * columns
            data = os.pread(handles[name], steps * size, start + t * size)
            found.append(np.frombuffer(data, dtype).reshape(steps, columns))
        return found

    return {
        "ours": lambda name, t: np.concatenate([store.rows(name, key, t, t + steps) for key in parts], 1),
        "h5py": lambda name, t: np.concatenate([array[t : t + steps] for array in arrays[name]], 1),
        "floor": lambda name, t: np.concatenate(pread(name, t), 1),
    }


def listing(folder: Path, rounds: int) -> dict[str, Any]:
    """Open a store of `LISTED` episodes and list them; the floor reads the directories alone."""
    root = many_names(folder / "many", LISTED)
    _same(len(EpisodeStore(root).ids()) == LISTED, "the list of all episodes")
    sessions = sorted((root / "episodes").iterdir())
    candidates = {
        "ours": lambda: timed(lambda: EpisodeStore(root).ids()),
        "floor": lambda: timed(lambda: [os.listdir(session) for session in sessions]),
    }
    return compare("open and list", LISTED, candidates, rounds=rounds)


def _then(get: Callable[[str, int], bytes], of: Callable[[bytes], Any]) -> Callable[[str, int], Any]:
    return lambda name, t: of(get(name, t))


def _same(equal: bool, what: str) -> None:
    if not equal:
        raise SystemExit(f"{what} is not what was written; a fast wrong answer is no answer")


def stages(folder: Path, rounds: int, peers: Path | None) -> Iterator[dict[str, Any]]:
    """All lines, one after the other."""
    yield converting(folder, rounds)
    for size in SIZES:
        yield from frames(folder, rounds, size)
    yield from rows(folder, rounds)
    yield listing(folder, rounds)
    if peers is not None:
        yield from compare_with_peers(folder, peers, rounds)


def main() -> None:
    """Print one JSON line a stage."""
    parser = argparse.ArgumentParser(description="Speed of episodes, as ratios in one run.")
    parser.add_argument("--rounds", type=int, default=16, help="the first is dropped")
    parser.add_argument("--peers", type=Path, help="a Python with lerobot and robomimic (`make peers`)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in stages(Path(folder), arguments.rounds, arguments.peers):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
