"""A small workspace for the app's tests: a tube that is inserted or jams, with curves, labels and pairs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from episodes.findings import Finding, Quality
from episodes.footage import CameraQuality
from episodes.images import encode_jpeg
from episodes.record import ActionSource, CameraInfo, EncodedFrames, Episode, Outcome
from episodes.store import EpisodeStore

TASK, MODEL, STEPS, PX = "tube_insertion", "4f1c9a2be07d", 100, 64
SESSIONS = ("sim-a", "sim-b")
STUCK = (52, 78)
"""steps at which every failure stands still"""


def build(root: Path, *, episodes: int = 8, derived: bool = True) -> list[str]:
    """Fill `root` and return the ids of its episodes; every second one is a failure."""
    store, ids = EpisodeStore(root), []
    for number in range(episodes):
        ids.append(store.write(episode(number)))
    (root / "workspace.json").write_text('{"schema_version": 1}')
    if derived:
        _curves(root, ids)
        _labels(root, ids)
        _pairs(root, ids)
        _quality(root, ids)
    return ids


def value_of(number: int) -> np.ndarray:
    """A value curve: rising to 1, or standing still from the stall on."""
    random = np.random.default_rng(number)
    clean = np.linspace(0.03, 1, STEPS)
    if number % 2:
        clean[STUCK[0] :] = clean[STUCK[0]] - 0.15 * np.linspace(0, 1, STEPS - STUCK[0])
    return np.clip(clean + random.normal(0, 0.012, STEPS), 0, 1)


def episode(number: int) -> Episode:
    """Episode `number`: two cameras, wrench, proprioception; failures end in the person's hands."""
    failed, random = bool(number % 2), np.random.default_rng(number)
    depth = value_of(number)
    source = np.full(STEPS, ActionSource.POLICY, np.uint8)
    if failed:
        source[STUCK[1] :] = ActionSource.HUMAN
    frames = {camera: [encode_jpeg(_picture(camera, float(value))) for value in depth] for camera in ("third", "wrist")}
    proprio = np.stack([0.4 - 0.1 * depth, 0.02 * np.sin(depth * 9), 0.3 - 0.2 * depth, np.full(STEPS, 0.8)], axis=1)
    wrench = random.normal(0, 0.6, (STEPS, 6))
    wrench[:, 2] -= 12 * (np.arange(STEPS) > STUCK[0]) * failed
    return Episode(
        task=TASK,
        instruction="insert the tube",
        session=SESSIONS[number % 4 // 2],
        time_s=np.arange(STEPS) / 10,
        action_source=source,
        robot="sim-ur5e",
        fps=10,
        collection="rollout",
        end_reason="timeout" if failed else "success",
        success=Outcome.FAILURE if failed else Outcome.SUCCESS,
        success_derivation="predicate",
        cameras={camera: CameraInfo(height_px=PX, width_px=PX) for camera in frames},
        proprio=proprio.astype(np.float32),
        proprio_names=("x_m", "y_m", "z_m", "gripper"),
        proprio_units=("m", "m", "m", "1"),
        wrench=wrench.astype(np.float32),
        images={camera: EncodedFrames.pack(packed, "jpeg", PX, PX) for camera, packed in frames.items()},
    )


def _picture(camera: str, depth: float) -> np.ndarray:
    """A rack and a tube at its depth, from the side or from above."""
    image = np.full((PX, PX, 3), 205, np.uint8)
    if camera == "third":
        image[44:, 10:54] = (96, 108, 120)
        image[44:60, 28:36] = (40, 46, 52)
        top = int(6 + 22 * depth)
        image[top : top + 22, 30:34] = (66, 135, 200)
        image[max(top - 6, 0) : top, 26:38] = (70, 70, 74)
    else:
        rows, columns = np.mgrid[:PX, :PX]
        image[(rows - 32) ** 2 + (columns - 32) ** 2 < 24**2] = (96, 108, 120)
        image[(rows - 32) ** 2 + (columns - 32) ** 2 < 10**2] = (40, 46, 52)
        shift = int(14 * (1 - depth))
        image[(rows - 32 + shift) ** 2 + (columns - 32 - shift) ** 2 < 8**2] = (66, 135, 200)
    return image


def _curves(root: Path, ids: list[str]) -> None:
    store = EpisodeStore(root)
    for session in store.sessions():
        frames = [_curve(ids.index(each), each) for each in store.ids(session=session)]
        directory = root / "derived/values/curves" / session
        directory.mkdir(parents=True)
        pl.concat(frames).write_parquet(directory / f"{MODEL}.parquet")
        triggers = pl.concat(frames).select(
            "episode_id",
            "frame_index",
            trigger_logit=pl.col("risk") * 40 - 1,
            trigger=pl.col("stall_probability") > 0.5,
            threshold=pl.lit(0.5),
            early_trigger=pl.col("stall_probability") > 0.3,
        )
        directory = root / "derived/triggers/curves" / session
        directory.mkdir(parents=True)
        triggers.write_parquet(directory / "99aa00bb11cc.parquet")


def _curve(number: int, episode_id: str) -> pl.DataFrame:
    value, steps = value_of(number), np.arange(STEPS)
    stuck = ((steps >= STUCK[0] + 8) & (steps < STUCK[1] + 4)) * (number % 2)
    stall = np.clip(np.convolve(stuck, np.ones(7) / 7, "same"), 0.02, 0.95)
    return pl.DataFrame(
        {
            "episode_id": [episode_id] * STEPS,
            "frame_index": steps,
            "value": value,
            "value_lo": np.clip(value - 0.05, 0, 1),
            "value_hi": np.clip(value + 0.05, 0, 1),
            "success_score": value * (1 - 0.7 * stall),
            "stall_probability": stall,
            "risk": 0.02 * stall + 0.002,
            "progress": steps / (STEPS - 1) * (1 - number % 2),
        }
    )


def _labels(root: Path, ids: list[str]) -> None:
    directory = root / "derived/labels/stagnation" / TASK
    directory.mkdir(parents=True)
    rows, steps = [], []
    for number, episode_id in enumerate(ids):
        for start, stop in [STUCK, (88, 96)] if number % 2 else [(20, 26)] if number == 0 else []:
            terms = {"slope_per_s": -0.0031, "range": 0.021, "shortfall": 0.18, "threshold": 0.004}
            rows.append(
                {
                    "label_id": f"{episode_id}:{start}-{stop}",
                    "episode_id": episode_id,
                    "session": SESSIONS[number % 4 // 2],
                    "start": start,
                    "stop": stop,
                    "rule": "plateau" if start != 20 else "abrupt_drop",
                    "terms": json.dumps(terms),
                }
            )
        slope = np.gradient(value_of(number)) * 10
        plateau = np.isin(np.arange(STEPS), np.arange(*STUCK)) & bool(number % 2)
        steps.append(
            pl.DataFrame(
                {
                    "episode_id": [episode_id] * STEPS,
                    "frame_index": np.arange(STEPS),
                    "decline": slope < -0.2,
                    "plateau": plateau,
                    "abrupt_drop": slope < -0.4,
                    "stagnation": plateau,
                    "slope_per_s": slope,
                    "shortfall": np.maximum(0, 0.1 - slope),
                }
            )
        )
    pl.DataFrame(rows).write_parquet(directory / "labels.parquet")
    pl.concat(steps).write_parquet(directory / "frames.parquet")
    manifest = {"asset": "labels/stagnation", "partition": TASK, "data_version": "d1"}
    (directory / "params.json").write_text('{"window": 0.3}')
    (directory / "manifest.json").write_text(json.dumps(manifest))


def _quality(root: Path, ids: list[str]) -> None:
    """The first episode is fine, the second has a dead wrench, the third lost its pictures."""
    dead = Finding(defect="dead_wrench", verdict="weight", reason="the wrench never changes", key="wrench", step=3)
    blank = Finding(defect="blank_camera", verdict="exclude", reason="camera wrist is blank", key="wrist", step=7)
    found = [(), (dead,), (blank,)] + [()] * len(ids)
    rows = []
    for episode_id, findings in zip(ids, found, strict=False):
        seen = {"sampled": 16, "sharpness": 9.0, "visual_diversity": 4.0, "undecodable": 0, "softest_step": 0}
        camera = CameraQuality(
            camera="wrist", **seen, blank_share=float(blank in findings), black_share=0.0, defect_step=-1
        )
        quality = Quality(steps=STEPS, tremble=0.1, idle_share=0.3, cameras=(camera,), findings=findings)
        judged = {"episode_id": episode_id, "verdict": quality.verdict, "weight": quality.weight}
        rows.append({**asdict(quality), **judged})
    table = pl.DataFrame(rows, infer_schema_length=None)
    for session in EpisodeStore(root).sessions():
        directory = root / "derived/episodes/quality" / session
        directory.mkdir(parents=True)
        own = table.filter(pl.col("episode_id").is_in(EpisodeStore(root).ids(session=session)))
        own.write_parquet(directory / "table.parquet")
        (directory / "manifest.json").write_text('{"data_version": "q1"}')


def _pairs(root: Path, ids: list[str]) -> None:
    directory = root / "derived/memory/recovery" / TASK
    directory.mkdir(parents=True)
    rows = []
    for number in range(1, len(ids), 2):
        for rank, goal in enumerate(range(0, len(ids), 2)):
            rows.append(
                {
                    "pair_id": f"{ids[number]}:60>{ids[goal]}:{70 + rank}",
                    "query_episode": ids[number],
                    "query_t": 60,
                    "goal_episode": ids[goal],
                    "goal_t": 70 + rank,
                    "similarity": 0.97 - 0.04 * rank,
                    "query_value": float(value_of(number)[60]),
                    "goal_value": float(value_of(goal)[70 + rank]),
                }
            )
    pl.DataFrame(rows).write_parquet(directory / "pairs.parquet")
