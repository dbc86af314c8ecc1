"""The closed loop, three ways on the same seeds: without Regrasp, with a random trigger, with Regrasp.

The random trigger has the recovery budget of the real one: as many recoveries for each step of the policy, up to one
in the whole session. Its episodes show how much of any saving is the recovery policy alone. Everything counted is read
off the recordings, so a run that was interrupted goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.processes import Processes
from pipelines.arm_episodes import ArmEpisode, read_arm, trigger_rate
from pipelines.simulated import Arm, OnCount, SessionJob, run_sessions

ARMS: tuple[Arm, ...] = ("without", "random", "with")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop:
    """One comparison: a release, a task and the seeds that all three arms share."""

    root: Path
    task: str
    cameras: tuple[str, ...]
    release: str
    seeds: tuple[int, ...]

    def session(self, arm: Arm) -> str:
        """Slug of an arm's session."""
        return f"{self.task}-{arm}-{self.release[:8]}"

    def job(self, arm: Arm, trigger_rate: float = 0.0) -> SessionJob:
        """The session job of an arm."""
        return SessionJob(
            root=self.root,
            session=self.session(arm),
            task=self.task,
            cameras=self.cameras,
            seeds=self.seeds,
            collection="takeover",
            human="watching",
            release=self.release,
            arm=arm,
            trigger_rate=trigger_rate if arm == "random" else 0.0,
            live=arm == "with",
            attended=False,
        )

    def read(self, arm: Arm) -> dict[int, ArmEpisode]:
        """The arm's episodes that are recorded, by seed."""
        return read_arm(self.root, self.session(arm))

    def run(self, robots: Processes, *, on_count: OnCount | None = None) -> dict[Arm, list[ArmEpisode]]:
        """All arms, what is missing of them: first the two that need no rate, then the random one."""
        for arms in (("without", "with"), ("random",)):
            rate = trigger_rate(list(self.read("with").values()))
            jobs = [self.job(arm, rate) for arm in arms if set(self.seeds) - set(self.read(arm))]
            if jobs:
                run_sessions(jobs, robots, on_count=on_count)
        recorded = {arm: self.read(arm) for arm in ARMS}
        return {arm: [recorded[arm][seed] for seed in self.seeds] for arm in ARMS}
