"""Small made-up episodes that a tiny model can learn from: one number rises along a success and stands in a stall."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from episodes.record import ActionSource, Array, Collection, Episode, Outcome
from episodes.store import EpisodeStore

FPS = 10.0
STEPS = 40
NAMES = ("tool/x", "depth", "force")


def make_episode(
    seed: int,
    *,
    success: bool | None,
    collection: Collection = "rollout",
    session: str = "s1",
    task: str = "insert",
    source: Array | None = None,
) -> Episode:
    """An episode of 40 to 50 steps; a failure stands still from its middle on, a takeover frees it."""
    random = np.random.default_rng(seed)
    steps = STEPS + seed % 10
    depth = np.linspace(0, 1, steps)
    if source is None:
        driver = ActionSource.HUMAN if collection == "demo" else ActionSource.POLICY
        source = np.full(steps, driver, np.uint8)
        if collection == "takeover":
            source[steps - 12 :] = ActionSource.HUMAN
    if success is False:
        depth = np.minimum(depth, 0.45)
    if collection == "takeover":
        stalled = source != ActionSource.HUMAN
        depth = np.concatenate([np.minimum(2 * depth[stalled], 0.45), np.linspace(0.45, 1, (~stalled).sum())])
    force = np.where(np.diff(depth, prepend=-1) < 1e-6, 1.0, 0.0)
    proprio = np.stack([depth, depth, force], 1) + random.normal(0, 0.01, (steps, 3))
    pose = np.zeros((steps, 7))
    pose[:, 0], pose[:, 6] = depth, 1.0
    action = np.tile(random.normal(0, 0.1, 2), (steps, 1)) + depth[:, None]
    human = np.where((source == ActionSource.HUMAN)[:, None], action, np.nan)
    known = {True: Outcome.SUCCESS, False: Outcome.FAILURE, None: Outcome.UNKNOWN}[success]
    return Episode(
        task=task,
        instruction="put it in",
        session=session,
        time_s=np.arange(steps) / FPS,
        action_source=source,
        fps=FPS,
        robot="made-up",
        collection=collection,
        success=known,
        success_derivation="made up" if success is not None else "",
        end_reason=known.value,
        action_space={"names": ["dx", "dy"]},
        ee_pose=pose,
        proprio=proprio.astype(np.float32),
        proprio_names=NAMES,
        proprio_units=("m", "m", "n"),
        executed_action=np.clip(action, -1, 1).astype(np.float32),
        human_action=human.astype(np.float32),
        policy_id=tuple("" if s == ActionSource.HUMAN else "bc" for s in source),
    )


def fill(root: Path, *, task: str = "insert", first_seed: int = 0, prefix: str = "") -> None:
    """Sessions `demos`, `rollouts` and `takeovers` of a task: 8, 36 and 8 episodes."""
    store = EpisodeStore(root)
    seeds = iter(range(first_seed, first_seed + 100))
    for _ in range(8):
        store.write(make_episode(next(seeds), success=True, collection="demo", session=f"{prefix}demos", task=task))
    for n in range(36):
        store.write(make_episode(next(seeds), success=n % 3 != 0, session=f"{prefix}rollouts", task=task))
    for _ in range(8):
        session = f"{prefix}takeovers"
        store.write(make_episode(next(seeds), success=True, collection="takeover", session=session, task=task))
