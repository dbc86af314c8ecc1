"""Simulated robots side by side: each job records one session in a process of its own.

A job is plain data, so that it can cross to the process; what it names (a policy, a release) is loaded there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from episodes.record import Collection
from episodes.store import EpisodeStore
from episodes.workspace import Workspace

if TYPE_CHECKING:
    from robot_io.deployment import DeployedPolicy, ReleaseMonitor
    from robot_io.loop import EpisodeSummary
    from robot_io.protocols import Monitor

Arm = Literal["without", "random", "with"]
POLL_S = 0.5
CHUNKS = 5
"""of 0.8 s towards one goal, so that the 4 s rule ends a rescue that does not help; lifting off the rim takes two"""
MIN_GAIN = 0.02
"""of V, that a recovery must reach to hand back to the policy"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionJob:
    """One session of the simulated robot."""

    root: Path
    session: str
    task: str
    cameras: tuple[str, ...]
    seeds: tuple[int, ...]
    collection: Collection
    human: Literal["demo", "watching", "none"]
    policy: Path | None = None
    """directory of a base policy, where no release brings one"""
    release: str = ""
    """version of the release that drives; empty for the base policy alone"""
    arm: Arm = "without"
    """what of the release is used: its policy, that with a random trigger, or all of it"""
    trigger_rate: float = 0.0
    """of the random trigger, per step of the policy"""
    live: bool = False
    human_seed: int = 1


def run_session(job: SessionJob) -> list[EpisodeSummary]:
    """Record the episodes that the session lacks."""
    import torch

    from robot_io.collect import collect_session
    from robot_io.control import RecoveryLimits
    from robot_io.deployment import load_deployment, load_policy
    from robot_io.live import LiveWriter
    from robot_io.sim import ScriptedHuman, make_robot

    torch.set_num_threads(1)
    robot = make_robot(job.task, cameras=job.cameras)
    try:
        policy = load_policy(job.policy) if job.policy else None
        deployed = load_deployment(_parts(job), robot.spec) if job.release else None
        human = ScriptedHuman(robot, job.human_seed, demo=job.human == "demo")
        monitor = _monitor(job, deployed.monitor) if deployed and job.arm != "without" else None
        return collect_session(
            Workspace.open(job.root),
            job.session,
            robot,
            job.seeds,
            collection=job.collection,
            policy=_named(job, deployed.policy) if deployed else policy,
            teleop=None if job.human == "none" else human,
            monitor=monitor,
            recovery=deployed.recovery if deployed and monitor else None,
            recovery_limits=RecoveryLimits(attempts=CHUNKS, min_gain=MIN_GAIN),
            collected_by={"release": job.release, "arm": job.arm} if job.release else None,
            live=LiveWriter(job.root, job.session) if job.live else None,
        )
    finally:
        robot.close()


def _parts(job: SessionJob) -> dict[str, Path]:
    """The directories of the release, after every byte of it was verified."""
    from releases.bundle import open_release

    release = open_release(job.root, job.release)
    return {name: release.part(name) for name in ("policy", "value", "trigger", "memory", "recovery")}


def _named(job: SessionJob, policy: DeployedPolicy) -> DeployedPolicy:
    """The policy's id says whose release it is and what else may act: equal runs of two arms are two episodes."""
    return replace(policy, policy_id=f"{policy.policy_id}@{job.release[:8]}+{job.arm}")


def _monitor(job: SessionJob, monitor: ReleaseMonitor) -> Monitor:
    from robot_io.deployment import RandomMonitor

    return RandomMonitor(monitor, job.trigger_rate, seed=job.human_seed) if job.arm == "random" else monitor


def run_sessions(
    jobs: Sequence[SessionJob], *, workers: int, on_count: Callable[[int, int], None] | None = None
) -> list[list[EpisodeSummary]]:
    """All jobs, `workers` at a time; `on_count` is told how many of all their episodes are there."""
    total = sum(len(job.seeds) for job in jobs)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(run_session, job) for job in jobs]
        pending = set(futures)
        while pending:
            _, pending = wait(pending, timeout=POLL_S, return_when=FIRST_EXCEPTION)
            if on_count is not None:
                on_count(_recorded(jobs), total)
        return [future.result() for future in futures]


def _recorded(jobs: Sequence[SessionJob]) -> int:
    return sum(len(EpisodeStore(job.root).ids(session=job.session)) for job in jobs)
