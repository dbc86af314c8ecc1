"""What the speed of episodes is measured on: noisy scenes as JPEG, in the seed's layout and in the store."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from episodes.images import encode_jpeg
from episodes.record import Array, CameraInfo, EncodedFrames, Episode
from episodes.store import EpisodeStore

SIZES = {"VGA": (480, 640), "256 px": (256, 256)}
CAMERAS = ("third", "wrist")
FPS = 10.0
QUALITY = 90
_DISTINCT = 16
"""pictures a camera; they come round, since drawing one takes longer than storing it"""


def pictures(size: tuple[int, int], seed: int) -> list[bytes]:
    """JPEG of a smooth scene that moves, with a sensor's noise: about 50 kB at VGA."""
    height, width = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    found = []
    for k in range(_DISTINCT):
        waves = [np.sin((x + 3 * k) / 37 + c + seed) + np.cos((y - 2 * k) / 53 + c) for c in range(3)]
        scene = 128 + 50 * np.stack(waves, axis=-1) + rng.normal(0, 3, (height, width, 3))
        found.append(encode_jpeg(np.clip(scene, 0, 255).astype(np.uint8), quality=QUALITY))
    return found


def json_dataset(folder: Path, size: tuple[int, int], *, episodes: int, length: int) -> Path:
    """Episodes of two cameras in the layout `seed_json`, each frame a file."""
    for e in range(episodes):
        place = folder / f"episode_{e:06d}"
        (place / "frames").mkdir(parents=True)
        for c, camera in enumerate(CAMERAS):
            drawn = pictures(size, 10 * e + c)
            for t in range(length):
                (place / "frames" / f"{camera}_{t:06d}.jpg").write_bytes(drawn[t % _DISTINCT])
        steps = [_json_step(e, t) for t in range(length)]
        (place / "episode.json").write_text(json.dumps({"task": "measured", "success": True, "steps": steps}))
    return folder


def _json_step(e: int, t: int) -> dict[str, Any]:
    frames = {f"{camera}_rgb": f"frames/{camera}_{t:06d}.jpg" for camera in CAMERAS}
    pose = [0.1 * e, 0.001 * t, 0.3, 0.0, 0.0, 0.0, 1.0]
    return {"t": t, **frames, "ee_pose": pose, "action": [0.01 * t] * 7, "human_intervene": t % 50 > 40}


def stored_episodes(root: Path, size: tuple[int, int], *, episodes: int, length: int) -> EpisodeStore:
    """A store of episodes with two cameras of this size."""
    store = EpisodeStore(root)
    for e in range(episodes):
        store.write(episode(e, size, length))
    return store


def episode(seed: int, size: tuple[int, int], length: int, session: str = "measured") -> Episode:
    """One episode in memory, another for each seed."""
    rng = np.random.default_rng(seed)
    pose: Array = np.tile([0.1, 0.2, 0.3, 0, 0, 0, 1.0], (length, 1))
    pose[:, 0] += 0.001 * np.arange(length)
    drawn = {camera: pictures(size, 10 * seed + c) for c, camera in enumerate(CAMERAS)}
    shown = {camera: [drawn[camera][t % _DISTINCT] for t in range(length)] for camera in CAMERAS}
    return Episode(
        task="measured",
        instruction="move",
        session=session,
        time_s=np.arange(length) / FPS,
        action_source=np.zeros(length, np.uint8),
        fps=FPS,
        ee_pose=pose,
        proprio=rng.normal(size=(length, 14)).astype(np.float32),
        executed_action=rng.normal(size=(length, 7)).astype(np.float32),
        images={camera: EncodedFrames.pack(shown[camera], "jpeg", *size) for camera in CAMERAS},
        cameras={camera: CameraInfo(height_px=size[0], width_px=size[1]) for camera in CAMERAS},
    )


def many_names(root: Path, count: int, *, sessions: int = 100) -> Path:
    """A workspace with `count` episodes in it, those of a session being links to one file."""
    for s in range(sessions):
        store = EpisodeStore(root)
        first = store.path(store.write(episode(s, (16, 16), 5, session=f"session_{s:03d}")))
        for k in range(count // sessions - 1):
            os.link(first, first.with_name(f"{s * count + k:016x}.h5"))
    return root
