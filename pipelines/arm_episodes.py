"""What the closed loop counts of each recorded episode. Everything is read off the recordings; how an episode failed is
what the simulator noted beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from episodes.record import ActionSource, Array, Episode, Outcome
from episodes.store import EpisodeStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEpisode:
    """What the table needs of one recorded episode."""

    source: Array
    """(T,) who acted"""
    success: bool
    end: str
    """end_reason"""
    failure: str
    """failure mode by the simulator, empty for a success; `unknown` where it noted none"""
    recoveries: int
    """triggers after which a chunk was sent, also those that the episode's end cut short"""
    recovered: int
    """of those, how many reached a better value"""
    takeovers: int
    reasons: tuple[str, ...]
    """of the takeovers"""

    @classmethod
    def of(cls, episode: Episode, failure: str = "") -> ArmEpisode:
        """Read it off a recording; `failure` is what the simulator noted."""
        events = list(episode.events)
        ends = [event["reason"] for event in events if event["kind"] == "recovery_end"]
        reasons = tuple(event["reason"] for event in events if event["kind"] == "takeover")
        success = episode.success is Outcome.SUCCESS
        return cls(
            source=episode.action_source,
            success=success,
            end=episode.end_reason,
            failure="" if success else failure or "unknown",
            recoveries=sum(
                bool(event["item"]) for event in events if event["kind"] == "recovery" and event["attempt"] == 1
            ),
            recovered=ends.count("better"),
            takeovers=len(reasons),
            reasons=reasons,
        )

    @property
    def policy_steps(self) -> int:
        """Steps at which a trigger could fall: those the policy took, and those that recoveries began with."""
        return self.steps(ActionSource.POLICY) + self.recoveries

    def steps(self, source: ActionSource) -> int:
        """How many steps `source` acted."""
        return int((self.source == source).sum())


def read_arm(root: Path, session: str) -> dict[int, ArmEpisode]:
    """The complete episodes of a session of the closed loop, by seed."""
    from robot_io.collect import read_failures

    store = EpisodeStore(root)
    failures = read_failures(store.workspace, session)
    episodes = {name: store.read(name, images=False) for name in store.ids(session=session)}
    return {
        int(episode.collected_by["seed"]): ArmEpisode.of(episode, failures.get(name, ""))
        for name, episode in episodes.items()
        if episode.complete
    }


def trigger_rate(episodes: Sequence[ArmEpisode]) -> float:
    """Recoveries for each step of the policy: the budget that the random trigger is given."""
    steps = sum(episode.policy_steps for episode in episodes)
    return sum(episode.recoveries for episode in episodes) / steps if steps else 0.0
