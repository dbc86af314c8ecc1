"""The closed loop, three ways on the same seeds: without Regrasp, with a random trigger, with Regrasp.

The random trigger has the recovery budget of the real one: as many recoveries for each step of the policy. Its
episodes show how much of any saving is the recovery policy alone. Everything counted is read off the recordings, so a
run that was interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from episodes.record import ActionSource, Array, Episode, Outcome
from episodes.store import EpisodeStore
from pipelines.simulated import Arm, SessionJob, run_sessions

ARMS: tuple[Arm, ...] = ("without", "random", "with")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEpisode:
    """What the table needs of one recorded episode."""

    source: Array
    """(T,) who acted"""
    success: bool
    end: str
    """end_reason"""
    recoveries: int
    """triggers after which a chunk was sent, also those that the episode's end cut short"""
    recovered: int
    """of those, how many reached a better value"""
    takeovers: int
    reasons: tuple[str, ...]
    """of the takeovers"""

    @classmethod
    def of(cls, episode: Episode) -> ArmEpisode:
        """Read it off a recording."""
        events = list(episode.events)
        ends = [event["reason"] for event in events if event["kind"] == "recovery_end"]
        reasons = tuple(event["reason"] for event in events if event["kind"] == "takeover")
        return cls(
            source=episode.action_source,
            success=episode.success is Outcome.SUCCESS,
            end=episode.end_reason,
            recoveries=sum(
                bool(event["item"]) for event in events if event["kind"] == "recovery" and event["attempt"] == 1
            ),
            recovered=ends.count("better"),
            takeovers=len(reasons),
            reasons=reasons,
        )

    def steps(self, source: ActionSource) -> int:
        """How many steps `source` acted."""
        return int((self.source == source).sum())


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
            trigger_rate=trigger_rate,
            live=arm == "with",
        )

    def read(self, arm: Arm) -> dict[int, ArmEpisode]:
        """The arm's episodes that are recorded, by seed."""
        store = EpisodeStore(self.root)
        episodes = [store.read(name, images=False) for name in store.ids(session=self.session(arm))]
        return {int(e.collected_by["seed"]): ArmEpisode.of(e) for e in episodes if e.complete}

    def run(self, *, workers: int, on_count: Callable[[int, int], None] | None = None) -> dict[Arm, list[ArmEpisode]]:
        """All arms, what is missing of them: first the two that need no rate, then the random one."""
        self._run_arms({"without": 0.0, "with": 0.0}, workers, on_count)
        self._run_arms({"random": trigger_rate(list(self.read("with").values()))}, workers, on_count)
        recorded = {arm: self.read(arm) for arm in ARMS}
        return {arm: [recorded[arm][seed] for seed in self.seeds] for arm in ARMS}

    def _run_arms(self, rates: Mapping[Arm, float], workers: int, on_count: Callable[[int, int], None] | None) -> None:
        jobs = [self.job(arm, rate) for arm, rate in rates.items() if set(self.seeds) - set(self.read(arm))]
        if jobs:
            run_sessions(jobs, workers=workers, on_count=on_count)


def trigger_rate(episodes: Sequence[ArmEpisode]) -> float:
    """Recoveries for each step of the policy: what the random trigger is given."""
    steps = sum(episode.steps(ActionSource.POLICY) + episode.recoveries for episode in episodes)
    return sum(episode.recoveries for episode in episodes) / steps if steps else 0.0
