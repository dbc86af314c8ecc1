"""What the closed loop counts of each recorded episode. Everything is read off the recordings."""

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

    @property
    def policy_steps(self) -> int:
        """Steps at which a trigger could fall: those the policy took, and those that recoveries began with."""
        return self.steps(ActionSource.POLICY) + self.recoveries

    def steps(self, source: ActionSource) -> int:
        """How many steps `source` acted."""
        return int((self.source == source).sum())


def read_arm(root: Path, session: str) -> dict[int, ArmEpisode]:
    """The complete episodes of a session of the closed loop, by seed."""
    store = EpisodeStore(root)
    episodes = [store.read(name, images=False) for name in store.ids(session=session)]
    return {int(e.collected_by["seed"]): ArmEpisode.of(e) for e in episodes if e.complete}


def trigger_rate(episodes: Sequence[ArmEpisode]) -> float:
    """Recoveries for each step of the policy: the budget that the random trigger is given."""
    steps = sum(episode.policy_steps for episode in episodes)
    return sum(episode.recoveries for episode in episodes) / steps if steps else 0.0
