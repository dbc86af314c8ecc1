"""`demo`, `collect` and `deploy`: what moves a robot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from episodes.errors import UsageError
from pipelines.commands.show import count_bar

if TYPE_CHECKING:
    from pipelines.simulated import SessionJob
    from releases.bundle import Release


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The whole loop in simulation: collect, learn, audit, release, deploy; ends with one table."""

    quick: bool = False
    """one task, one camera, shorter schedules: about three minutes"""
    report: Path | None = None
    """write the figures as JSON"""

    def run(self, root: Path) -> int:
        from pipelines import demo

        demo.run(root, quick=self.quick, report=self.report)
        return 0


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Record episodes on a robot: one call, one session."""

    robot: Literal["sim", "ur"] = "sim"
    """which robot: simulated here, or a UR arm behind its controller"""
    host: str = ""
    """address of the controller, for --robot ur"""
    site: Path | None = None
    """TOML file with the site's limits, for --robot ur; those of the simulated cell without one"""
    dry_run: bool = False
    """check everything but motion, say what would be done, and end"""
    task: str = "tube_insertion"
    """slug"""
    episodes: int = 10
    """how many the session is to hold"""
    cameras: tuple[str, ...] = ("third",)
    """third, wrist or both"""
    image_px: Literal[64, 128] = 64
    """height and width of a frame"""
    policy: str = "none"
    """directory of a base policy, or none"""
    teleop: Literal["scripted", "spacemouse", "keyboard", "none"] = "scripted"
    """who takes over, and who drives where there is no policy: the scripted person, or you with a device"""
    session: str | None = None
    """slug; a new one by default, an old one goes on where it stopped"""
    seed: int = 0
    """of the first episode"""

    def run(self, root: Path) -> int:
        from episodes.slug import check_slug
        from pipelines.simulated import SessionJob

        _check_count(self.episodes)
        _check_task(self.task)
        check_host(self.robot, self.host, self.site)
        if self.session is not None:
            check_slug("session", self.session)
        if self.policy == "none" and self.teleop == "none":
            raise UsageError("nobody drives; give --policy DIR, or a --teleop")
        if self.policy != "none" and not Path(self.policy).is_dir():
            raise UsageError(f"there is no policy at {self.policy}; give the directory that models/policy was made in")
        alone = self.policy == "none"
        kind: Literal["demo", "rollout", "takeover"]
        kind = "demo" if alone else "rollout" if self.teleop == "none" else "takeover"
        job = SessionJob(
            root=root,
            session=self.session or _new_session(kind),
            task=self.task,
            cameras=self.cameras,
            image_px=self.image_px,
            seeds=tuple(range(self.seed, self.seed + self.episodes)),
            collection=kind,
            human="demo" if alone else "none" if self.teleop == "none" else "watching",
            policy=None if alone else Path(self.policy),
            live=True,
            host=self.host,
            site=self.site,
            teleop="scripted" if self.teleop == "none" else self.teleop,
        )
        return _looked(job) if self.dry_run else _recorded(job)


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """Run a verified release on a robot, with the human's override; the episodes come back as a session."""

    robot: Literal["sim", "ur"] = "sim"
    """robot profile: simulated here, or a UR arm behind its controller"""
    host: str = ""
    """address of the controller, for --robot ur"""
    site: Path | None = None
    """TOML file with the site's limits, for --robot ur; those of the simulated cell without one"""
    dry_run: bool = False
    """check everything but motion, say what would be done, and end"""
    task: str = "tube_insertion"
    """slug"""
    release: str | None = None
    """version; the champion of the task on this robot by default"""
    teleop: Literal["scripted", "spacemouse", "keyboard"] = "scripted"
    """who takes over: the scripted person, or you with a device"""
    episodes: int = 5
    """how many the session is to hold"""
    session: str | None = None
    """slug; a new one by default"""
    seed: int = 50_000
    """of the first episode"""

    def run(self, root: Path) -> int:
        from pipelines.simulated import SessionJob, spec_for
        from releases import gates

        _check_count(self.episodes)
        _check_task(self.task)
        check_host(self.robot, self.host, self.site)
        release = _verified(root, self.task, self.robot, self.release)
        robot = spec_for(release, self.task)
        gates.require(gates.check(release, robot))
        job = SessionJob(
            root=root,
            session=self.session or _new_session("deploy"),
            task=self.task,
            cameras=robot.cameras,
            image_px=robot.image_px,
            seeds=tuple(range(self.seed, self.seed + self.episodes)),
            collection="takeover",
            human="watching",
            release=release.version,
            arm="with",
            live=True,
            host=self.host,
            site=self.site,
            teleop=self.teleop,
        )
        print(f"release {release.version} verified, {len(release.manifest.files)} files")
        return _looked(job) if self.dry_run else _recorded(job)


def _check_count(episodes: int) -> None:
    if episodes < 1:
        raise UsageError(f"--episodes is {episodes}; a session holds one or more")


def check_host(robot: str, host: str, site: Path | None) -> None:
    """`UsageError` for an arm without its address, an address without an arm, a site file that cannot be right."""
    from pipelines.simulated import limits_of

    limits_of(site)
    if robot == "ur" and not host:
        raise UsageError("--robot ur needs the controller's address; give --host")
    if robot == "sim" and (host or site):
        raise UsageError(f"the simulated robot has no {'host' if host else 'site'}; give --robot ur with it")


def _check_task(task: str) -> None:
    from robot_io.sim import TASKS

    if task not in TASKS:
        raise UsageError(f"there is no task {task!r}; choose one of {', '.join(sorted(TASKS))}")


def _verified(root: Path, task: str, profile: str, version: str | None) -> Release:
    """The release to deploy: every byte checked, and promoted by a person where the robot is a real one."""
    from releases.bundle import open_release
    from releases.ledger import champion, require_promoted

    chosen = version or champion(root, profile, task)
    if chosen is None:
        raise UsageError(
            f"no release of {task} is champion on {profile}; use `regrasp release promote VERSION --profile {profile}`"
        )
    release = open_release(root, chosen)
    require_promoted(root, release, profile)
    return release


def _recorded(job: SessionJob) -> int:
    """Record the session and say what came of it: equal seeds give equal episodes, which no second session takes.

    `SafetyStop` where the guard stopped the robot; it stood before anything was said.
    """
    from episodes.store import EpisodeStore
    from episodes.workspace import workspace_lock
    from models.processes import Processes
    from pipelines.simulated import limits_of, run_sessions
    from robot_io.ur.site import told as limits_told

    if job.host:
        print(limits_told(limits_of(job.site)))
    with workspace_lock(job.root), count_bar("episodes") as on_count, Processes(1) as robots:
        (summaries,) = run_sessions([job], robots, on_count=on_count)
    there = set(EpisodeStore(job.root).ids(session=job.session))
    recorded = [summary for summary in summaries if summary.episode_id in there]
    won = sum(summary.success.as_bool() is True for summary in recorded)
    told = f"session {job.session}: {len(recorded)} episodes recorded, {won} successes"
    discarded = sum(summary.episode_id is None for summary in summaries)
    if discarded:
        told += f", {discarded} discarded"
    if elsewhere := len(summaries) - len(recorded) - discarded:
        told += f", {elsewhere} already there in another session: give another --seed"
    print(f"{told}; next: regrasp materialize" if recorded else told)
    return 0


def _looked(job: SessionJob) -> int:
    """Everything but motion: the robot is there and ready, its cell gives frames, its models load and fit."""
    from pipelines.simulated import look

    print(look(job))
    print(f"would record {len(job.seeds)} episodes as session {job.session}; nothing was moved, nothing was written")
    return 0


def _new_session(kind: str) -> str:
    return f"{kind}-{datetime.now():%Y%m%d-%H%M%S}"
