"""`hil_serl_farl`: the same learner, and a recovery policy that takes the steps predicted to end in a failure.

After Failure-Aware RL (Li et al., arXiv 2601.07821), the baseline that UniIntervene calls FA-RL. At every step: the
probability p(s, a) that the policy's action a leads to a failure within a horizon; where p exceeds a threshold, the
recovery policy acts instead, and goes on until p of what the policy would do is below it again. No value, no stall, no
memory, no goal: what is seen at one step decides.

A failure is, as in the paper, what requires a person: a takeover, or the end of an episode that failed; the failures
and successes to learn from are those of the run's own episodes (`models.failure`). The recovery demonstrations are what
the person did in its takeovers. Predictor and recovery policy see what the policy sees, the object tracker of the state
mode included, which the trigger of `hil_serl_regrasp` does not.

What differs from the paper: p comes from one net that is taught to look ahead, not from a latent world model rolled out
under the policy, and a failure counts the same wherever it lies in the horizon. The paper learns both from 10 to 20
minutes of each kind of demonstration before the run and freezes them; here they are fitted on the run's own episodes,
in `rounds` as often as those of `hil_serl_regrasp`, so that neither method has data that the other lacks. The policy is
the benchmark's learner, not PPO. A recovery that has not calmed the predictor in the time that every recovery has here
asks the person; the paper asks nobody. What horizon and threshold UniIntervene gave this baseline is not known; here
the horizon and the size of the fit were chosen on tube insertion with seed 101, and the threshold is even odds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from episodes.errors import UsageError
from episodes.record import ActionSource, Array
from models.failure import FailureConfig, FailurePredictor, fit_failure
from models.policy import BehaviourPolicy, PolicyConfig, fit_policy
from robot_io.benchmark.hil_serl import HilSerlConfig
from robot_io.benchmark.method import Start
from robot_io.benchmark.rounds import InRounds, Rounds
from robot_io.control import RecoveryLimits
from robot_io.protocols import Decision, Observation, Policy, RecoveryPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class FarlConfig:
    """Settings of the method beside the learner's."""

    learner: HilSerlConfig = field(default_factory=HilSerlConfig)
    failure: FailureConfig = field(default_factory=FailureConfig)
    recovery: PolicyConfig = field(default_factory=lambda: PolicyConfig(hidden=128, steps=1_500))
    threshold: float = 0.5
    """of p, above which the recovery policy acts"""
    rounds: Rounds = field(default_factory=Rounds)

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise UsageError(
                f"a probability never exceeds or always exceeds {self.threshold}; give one between 0 and 1"
            )


class HilSerlFarl(InRounds):
    """Implements `Method`."""

    name = "hil_serl_farl"

    def __init__(self, start: Start, config: FarlConfig | None = None) -> None:
        self._settings = config or FarlConfig()
        super().__init__(start, self._settings.learner, self._settings.rounds)
        self.recovery_limits = RecoveryLimits()

    def config(self) -> Mapping[str, Any]:
        return asdict(self._settings)

    def _make(self, place: Path) -> dict[str, Any]:
        config, episodes = self._settings, self._episodes()[len(self._start.demonstrations) :]
        return {
            "failure": fit_failure(episodes, config.failure).save(place / "failure"),
            "recovery": fit_policy(episodes, config.recovery).save(place / "recovery"),
            "episodes": len(episodes),
            "recovery_demonstration_steps": sum(int((e.source == ActionSource.HUMAN).sum()) for e in episodes),
        }

    def _take(self, place: Path) -> None:
        predictor = FailurePredictor.load(place / "failure")
        self.monitor = Foresight(predictor, self.alone(), self._settings.threshold)
        self.recovery = StepByStep(BehaviourPolicy.load(place / "recovery"))


@dataclass(slots=True)
class Foresight:
    """`Monitor` of what the policy is about to do, or would do while another acts.

    Its value is 1 where that is deemed safe, else 0: a recovery hands back where it rises.
    """

    predictor: FailurePredictor
    policy: Policy
    threshold: float

    def reset(self) -> None:
        """Nothing to forget: one observation, one action, one probability."""

    def update(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision:
        if action is None or source is not ActionSource.POLICY:
            action = self.policy.act(observation)
        assert action is not None
        p = float(self.predictor.probability(observation.proprio[None], action[None])[0])
        fails = p > self.threshold
        return Decision(trigger=fails, value=float(not fails), score=p, threshold=self.threshold)


@dataclass(slots=True)
class StepByStep:
    """`Recovery` by the recovery policy, asked at every step."""

    policy: BehaviourPolicy

    def reset(self) -> None:
        """Nothing to forget."""

    def plan(self, observation: Observation, value: float) -> RecoveryPlan:
        return RecoveryPlan(chunk=self.policy.act(observation.proprio)[None], similarity=1.0, goal_value=1.0)
