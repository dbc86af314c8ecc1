"""Does Regrasp save human steps? Each episode against the one of the same seed in another arm, and counted reasons.

The difference of two arms is the mean over seeds of (human steps with Regrasp - human steps in the other arm), with a
95 % bootstrap interval over seeds: the seeds, not the steps, are what another run would draw anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from episodes.record import ActionSource
from pipelines.arm_episodes import ArmEpisode
from pipelines.simulated import Arm

if TYPE_CHECKING:
    from models.evaluation import Measured

OTHERS: Mapping[Arm, str] = {"without": "without Regrasp", "random": "with the random trigger"}
Episodes = Mapping[Arm, Sequence[ArmEpisode]]
"""arm -> its episodes, in the order of the seeds that all arms share"""


def difference(episodes: Episodes, other: Arm) -> Measured:
    """Human steps an episode with Regrasp minus those in the arm `other`, on the same seeds; negative is a saving."""
    from models.evaluation import Measured

    human = [[row.steps(ActionSource.HUMAN) for row in episodes[arm]] for arm in ("with", other)]
    return Measured.mean([float(mine - theirs) for mine, theirs in zip(*human, strict=True)])


def verdict(episodes: Episodes) -> str:
    """One sentence: whether it takes fewer human steps than each other arm, by how much, and what happened."""
    told = "; ".join(f"{_judged(difference(episodes, arm))} {OTHERS[arm]}" for arm in OTHERS)
    return f"Human steps an episode with Regrasp, paired by seed: {told}; {_reasons(episodes)}."


def _judged(paired: Measured) -> str:
    """The word for a difference is that of its whole interval."""
    if not paired.n:
        return "no episodes to compare with those"
    word = "fewer than" if paired.hi < 0 else "MORE than" if paired.lo > 0 else "NOT shown to be fewer than"
    return f"{word} ({paired.value:+.3g} [{paired.lo:+.3g}, {paired.hi:+.3g}] n {paired.n})"


def _reasons(episodes: Episodes) -> str:
    """What the person was needed for: counts over all episodes of an arm."""
    rows = episodes["with"]
    begun, better = (sum(getattr(row, name) for row in rows) for name in ("recoveries", "recovered"))
    takeovers = {reason: {arm: _takeovers(episodes[arm], reason) for arm in episodes} for reason in ("asked", "stall")}
    return (
        f"{begun} recoveries, {better} of which reached a better value; takeovers because the robot asked: "
        f"{_by_arm(takeovers['asked'])}; because it was in a stall: {_by_arm(takeovers['stall'])}"
    )


def _takeovers(rows: Sequence[ArmEpisode], reason: str) -> int:
    return sum(row.reasons.count(reason) for row in rows)


def _by_arm(counts: Mapping[Arm, int]) -> str:
    return f"{counts['with']} ({counts['without']} without, {counts['random']} at random)"
