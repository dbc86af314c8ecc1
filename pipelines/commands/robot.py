"""`demo`, `collect` and `deploy`: what moves a robot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from episodes.errors import UsageError

if TYPE_CHECKING:
    from episodes.workspace import Workspace
    from releases.bundle import Release
    from robot_io.loop import EpisodeSummary
    from robot_io.protocols import Policy
    from robot_io.sim import SimRobot


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The whole loop in simulation: collect, learn, audit, release, deploy; ends with one table."""

    quick: bool = False
    """one task, one camera, shorter schedules: about three minutes"""
    report: Path | None = None
    """write the figures as JSON"""

    def run(self, root: Path) -> int:
        from pipelines import demo

        return int(demo.run(root, quick=self.quick, report=self.report) or 0)


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Record episodes on a robot: one call, one session."""

    robot: Literal["sim"] = "sim"
    """which robot"""
    task: str = "tube_insertion"
    """slug"""
    episodes: int = 10
    """how many the session is to hold"""
    policy: str = "none"
    """directory of a base policy, or none"""
    teleop: Literal["scripted", "none"] = "scripted"
    """who takes over, and who drives where there is no policy"""
    session: str | None = None
    """slug; a new one by default, an old one goes on where it stopped"""
    seed: int = 0
    """of the first episode"""

    def run(self, root: Path) -> int:
        from episodes.workspace import Workspace
        from robot_io.collect import collect_session
        from robot_io.live import LiveWriter
        from robot_io.sim import ScriptedHuman, make_robot

        if self.policy == "none" and self.teleop == "none":
            raise UsageError("nobody drives; give --policy DIR or --teleop scripted")
        workspace = Workspace.open(root, create=True)
        policy = _policy(self.policy)
        collection = "demo" if policy is None else "rollout" if self.teleop == "none" else "takeover"
        session = self.session or _new_session(collection)
        with closing(make_robot(self.task)) as robot, _episodes_bar(self.episodes) as tick:
            summaries = collect_session(
                workspace,
                session,
                robot,
                range(self.seed, self.seed + self.episodes),
                collection=collection,  # type: ignore[arg-type]
                policy=policy,
                teleop=ScriptedHuman(robot, demo=policy is None) if self.teleop == "scripted" else None,
                collected_by={"command": "collect", "policy": policy.policy_id if policy else ""},
                live=LiveWriter(workspace.root, session),
                on_episode=tick,
            )
        _told(summaries, session)
        return 0


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """Run a verified release on a robot, with the human's override; the episodes come back as a session."""

    robot: Literal["sim"] = "sim"
    """robot profile"""
    task: str = "tube_insertion"
    """slug"""
    release: str | None = None
    """version; the champion of the task on this robot by default"""
    episodes: int = 5
    """how many the session is to hold"""
    session: str | None = None
    """slug; a new one by default"""
    seed: int = 10_000
    """of the first episode"""

    def run(self, root: Path) -> int:
        from episodes.workspace import Workspace
        from robot_io.sim import make_robot

        workspace = Workspace.open(root)
        release = _verified(root, self.task, self.robot, self.release)
        features = release.manifest.features
        session = self.session or _new_session("deploy")
        with closing(make_robot(self.task, cameras=features.cameras, image_px=features.image_px or 64)) as robot:
            summaries = self._loop(workspace, release, robot, session)
        _told(summaries, session)
        return 0

    def _loop(self, workspace: Workspace, release: Release, robot: SimRobot, session: str) -> list[EpisodeSummary]:
        from releases import gates
        from robot_io.collect import collect_session
        from robot_io.deployment import load_deployment
        from robot_io.live import LiveWriter
        from robot_io.sim import ScriptedHuman

        gates.require(gates.check(release, robot.spec))
        parts = {part: release.part(part) for part in ("policy", "value", "trigger", "memory", "recovery")}
        deployed = load_deployment(parts, robot.spec)
        with _episodes_bar(self.episodes) as tick:
            return collect_session(
                workspace,
                session,
                robot,
                range(self.seed, self.seed + self.episodes),
                collection="takeover",
                policy=deployed.policy,
                teleop=ScriptedHuman(robot),
                monitor=deployed.monitor,
                recovery=deployed.recovery,
                collected_by={"command": "deploy", "release": release.version},
                live=LiveWriter(workspace.root, session),
                on_episode=tick,
            )


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


def _policy(directory: str) -> Policy | None:
    from robot_io.deployment import load_policy

    return None if directory == "none" else load_policy(Path(directory))


def _new_session(kind: str) -> str:
    return f"{kind}-{datetime.now():%Y%m%d-%H%M%S}"


@contextmanager
def _episodes_bar(total: int) -> Iterator[Callable[[EpisodeSummary], None]]:
    """A progress bar of episodes; call it with each summary."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("episodes", total=total)
        yield lambda _: progress.advance(bar)


def _told(summaries: list[EpisodeSummary], session: str) -> None:
    won = sum(summary.success.as_bool() is True for summary in summaries)
    print(f"session {session}: {len(summaries)} episodes recorded, {won} successes; next: regrasp materialize")
