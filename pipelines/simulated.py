"""Robots side by side: each job records one session in a process of its own, of a simulated robot or of one behind a
controller.

A job is plain data, so that it can cross to the process; what it names (a policy, a release) is loaded there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from episodes.errors import SafetyStop
from episodes.record import ActionSource, Collection
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
from models.processes import Processes, heed_stop
from pipelines.arm_episodes import read_arm
from pipelines.attendance import Device, attending

if TYPE_CHECKING:
    from releases.bundle import Release
    from robot_io.clock import Clock
    from robot_io.deployment import DeployedPolicy
    from robot_io.loop import EpisodeSummary, Live
    from robot_io.protocols import Decision, RobotSpec, Step
    from robot_io.random_trigger import RecoveryBudget
    from robot_io.safety import Guard
    from robot_io.sim import SimRobot
    from robot_io.ur.limits import Limits
    from robot_io.ursim.robot import WiredRobot

Arm = Literal["without", "random", "with"]
POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionJob:
    """One session of one robot."""

    root: Path
    session: str
    task: str
    cameras: tuple[str, ...]
    image_px: int = 64
    """height and width of a frame"""
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
    """recoveries of the random trigger for each step of the policy"""
    live: bool = False
    human_seed: int = 1
    attended: bool = True
    """a safety stop ends the session, because somebody has to look after the cell first"""
    host: str = ""
    """where the controller is that the arm is driven through; empty for the simulation in this process"""
    site: Path | None = None
    """file with the limits of the site, for an arm behind a controller; those of the simulated cell without one"""
    teleop: Device = "scripted"
    """what the person drives with, where there is one"""

    @property
    def at_a_device(self) -> bool:
        """A person of flesh and blood drives."""
        return self.human != "none" and self.teleop != "scripted"


def run_session(job: SessionJob) -> list[EpisodeSummary]:
    """Record the episodes that the session lacks."""
    heed_stop()
    import torch

    from robot_io.collect import collect_session
    from robot_io.deadline import SHARE, Timely
    from robot_io.deployment import LIMITS, load_deployment, load_policy
    from robot_io.live import LiveWriter

    torch.set_num_threads(1)
    heed_stop()  # the imports took seconds
    with closing(_robot(job)) as robot, attending(job, robot) as (person, review):
        policy = load_policy(job.policy) if job.policy else None
        deployed = load_deployment(_parts(job), robot.spec) if job.release else None
        budget = _budget(job) if job.arm == "random" else None
        if deployed and budget:
            deployed = deployed.at_random(budget)
        acting = deployed if job.arm != "without" else None
        clock = _clock(job, robot)
        timely = Timely(SHARE / robot.spec.fps if clock is not None else None)
        return collect_session(
            Workspace.open(job.root, create=True),  # not before robot and models are known to be right
            job.session,
            robot,
            job.seeds,
            collection=job.collection,
            policy=timely.policy(_named(job, deployed.policy) if deployed else policy),
            teleop=person,
            monitor=timely.monitor(acting.monitor if acting else None),
            recovery=timely.recovery(acting.recovery if acting else None),
            recovery_limits=LIMITS,
            collected_by={"release": job.release, "arm": job.arm} if job.release else None,
            live=StopsBetweenSteps(LiveWriter(job.root, job.session) if job.live else None),
            on_episode=partial(_count, budget) if budget else None,
            attended=job.attended,
            clock=clock,
            review=review,
            guard=_guard(robot),
        )


def _clock(job: SessionJob, robot: SimRobot | WiredRobot) -> Clock | None:
    """Real time where an arm is behind a controller or a person at a device; else nobody waits."""
    from robot_io.clock import RealClock
    from robot_io.ursim.robot import WiredRobot

    if isinstance(robot, WiredRobot):
        return RealClock(robot.controller_s, robot.wait)
    return RealClock() if job.at_a_device else None


def _guard(robot: SimRobot | WiredRobot) -> Guard | None:
    """With the site's own force limits, where there is a site."""
    from robot_io.safety import Guard
    from robot_io.ursim.robot import WiredRobot

    return Guard(robot.spec, robot.limits.guarded_force) if isinstance(robot, WiredRobot) else None


def limits_of(site: Path | None) -> Limits:
    """What the arm may do at a site. `UsageError` for a file that cannot be right."""
    from robot_io.ur.site import read_limits, simulated_limits

    return simulated_limits() if site is None else read_limits(site)


def look(job: SessionJob) -> str:
    """All of a session but its motion; what there is, a line each. Raises what the session would raise."""
    from robot_io.ursim.robot import WiredRobot

    with closing(_robot(job)) as robot, attending(job, robot):
        if job.release:
            from robot_io.deployment import load_deployment

            load_deployment(_parts(job), robot.spec)
        elif job.policy:
            from robot_io.deployment import load_policy

            load_policy(job.policy)
        return robot.look() if isinstance(robot, WiredRobot) else robot.spec.robot


def _robot(job: SessionJob) -> SimRobot | WiredRobot:
    from robot_io.sim import make_robot

    if not job.host:
        return make_robot(job.task, cameras=job.cameras, image_px=job.image_px)
    from robot_io.ursim.robot import WiredRobot

    limits = limits_of(job.site)
    return WiredRobot(job.host, job.task, cameras=job.cameras, image_px=job.image_px, limits=limits)


def spec_for(release: Release, task: str) -> RobotSpec:
    """What the simulated robot says of itself with the cameras of a release, at the size of its recordings."""
    from robot_io.sim import make_robot

    wanted = release.manifest.features
    sized = {"image_px": wanted.image_px} if wanted.image_px else {}
    with closing(make_robot(task, cameras=wanted.cameras, **sized)) as robot:
        return robot.spec


def _parts(job: SessionJob) -> dict[str, Path]:
    """The directories of the release, after every byte of it was verified."""
    from releases.bundle import open_release

    release = open_release(job.root, job.release)
    return {name: release.part(name) for name in ("policy", "value", "trigger", "memory", "recovery")}


def _named(job: SessionJob, policy: DeployedPolicy) -> DeployedPolicy:
    """The policy's id says whose release it is and what else may act: equal runs of two arms are two episodes."""
    return replace(policy, policy_id=f"{policy.policy_id}@{job.release[:8]}+{job.arm}")


def _budget(job: SessionJob) -> RecoveryBudget:
    """What the session may still spend: it goes on from what its recordings say."""
    from robot_io.random_trigger import RecoveryBudget

    budget = RecoveryBudget(rate=job.trigger_rate, seed=job.human_seed)
    recorded = read_arm(job.root, job.session).values()
    budget.go_on(sum(e.policy_steps for e in recorded), sum(e.recoveries for e in recorded))
    return budget


def _count(budget: RecoveryBudget, summary: EpisodeSummary) -> None:
    """After an episode the budget stands where its recording says, as it would after an interruption."""
    if summary.episode_id is not None:
        taken = summary.source_steps.get(ActionSource.POLICY, 0) + summary.recoveries
        budget.go_on(budget.counted_steps + taken, budget.counted_recoveries + summary.recoveries)


@dataclass(frozen=True, slots=True)
class StopsBetweenSteps:
    """The loop's `Live` that ends the session where all are to stop, and hands on to whoever else watches.

    The loop then keeps what was recorded of the episode as incomplete.
    """

    live: Live | None

    def step(self, t: int, step: Step, decision: Decision | None) -> None:
        if self.live is not None:
            self.live.step(t, step, decision)
        heed_stop()

    def event(self, t: int, kind: str, detail: Mapping[str, Any]) -> None:
        if self.live is not None:
            self.live.event(t, kind, detail)

    def end(self, summary: EpisodeSummary) -> None:
        if self.live is not None:
            self.live.end(summary)


OnCount = Callable[[int, int], None]
"""told how many of all episodes are there, and how many are wanted"""


def run_sessions(
    jobs: Sequence[SessionJob], robots: Processes, *, on_count: OnCount | None = None
) -> list[list[EpisodeSummary]]:
    """All jobs, as many at a time as there are `robots`.

    `SafetyStop` names the episode that ended a session, once all robots are done.
    """
    total = sum(len(job.seeds) for job in jobs)
    futures = robots.start(run_session, jobs)
    pending = set(futures)
    while pending:
        _, pending = wait(pending, timeout=POLL_S, return_when=FIRST_EXCEPTION)
        if on_count is not None:
            on_count(_recorded(jobs), total)
    results = [future.result() for future in futures]
    for job, summaries in zip(jobs, results, strict=True):
        last = summaries[-1] if summaries else None
        if last is not None and last.fault and (job.attended or last.episode_id is None):
            raise SafetyStop(stopped(job.session, last))
    return results


def stopped(session: str, last: EpisodeSummary) -> str:
    """Which episode a safety stop ended, why, and what to do: one sentence."""
    if last.episode_id is None:
        return f"session {session} was stopped before the first step of an episode ({last.fault}); clear the cell"
    return (
        f"session {session} was stopped in episode {last.episode_id} ({last.fault}), which is kept; look at it with "
        f"`regrasp inspect {last.episode_id}` before the robot moves again"
    )


def _recorded(jobs: Sequence[SessionJob]) -> int:
    return sum(len(EpisodeStore(job.root).ids(session=job.session)) for job in jobs)
