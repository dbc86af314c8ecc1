"""Who acts at each step, and with what: the person, the policy, a recovery, or nobody (hold).

A model that has no answer in time is a hold at that step: nobody waits for it. After the person let go, `share` of a
model's motion is sent: it grows from none, at the pose that was commanded last, to the whole.

`Control` carries what must be remembered between steps (the mode, the running recovery, whom the monitor was told of)
and asks the models; `arbiter` decides. The monitor is reset on every change of `action_source`: what it has added up
belongs to whoever acted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from episodes.errors import UsageError
from episodes.record import ActionSource, Array
from robot_io.arbiter import Act, Mode, Seen, arbitrate
from robot_io.protocols import (
    Decision,
    HumanInput,
    Monitor,
    Observation,
    Policy,
    Recovery,
    RecoveryPlan,
    Teleop,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryLimits:
    """When a recovery is over."""

    attempts: int = 2
    """goals that are pursued, one after the other"""
    seconds: float = 4.0
    """without a better value than any since the trigger"""
    min_gain: float = 0.0
    """a value is better when it exceeds another by more than this"""
    regain: float = 0.0
    """share of what the value lacked at the trigger that a recovery must regain before the policy acts again"""

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.seconds <= 0.0 or self.min_gain < 0.0 or not 0.0 <= self.regain < 1.0:
            raise UsageError(f"{self} cannot run; give attempts >= 1, seconds > 0, min_gain >= 0 and 0 <= regain < 1")

    def enough(self, before: float) -> float:
        """The value above which the policy acts again, by the one at the trigger."""
        return before + max(self.min_gain, self.regain * (1.0 - before))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who acts at this step and with what."""

    source: ActionSource
    action: Array
    proposal: Array | None = None
    """what the policy wanted"""
    decision: Decision | None = None


@dataclass(slots=True, kw_only=True)
class _Attempts:
    """A running recovery: from which value, the best since and when that was, its goals, and the chunk being sent."""

    value: float
    best: float
    best_s: float
    count: int = 0
    """of its goals"""
    gained: int = 0
    """how many of them had been pursued when the value was best"""
    item: str | None = None
    chunk: Array = field(default_factory=lambda: np.empty((0, 0)))
    sent: int = 0

    def next_action(self) -> Array | None:
        return self.chunk[self.sent] if self.sent < len(self.chunk) else None


@dataclass(slots=True, kw_only=True)
class Control:
    """The state of control during one episode."""

    policy: Policy | None
    teleop: Teleop | None
    monitor: Monitor | None
    recovery: Recovery | None
    limits: RecoveryLimits
    hold_action: Callable[[], Array]
    emit: Callable[..., None]
    """called as `emit(kind, **detail)` for every event"""

    mode: Mode = Mode.POLICY
    counts: Counter[str] = field(default_factory=Counter)
    _attempts: _Attempts | None = None
    _watched: ActionSource | None = None
    """the source the monitor was last told"""
    _alarmed: bool = False

    def reset(self) -> None:
        """Begin an episode."""
        for part in (self.policy, self.monitor, self.recovery):
            if part is not None:
                part.reset()

    def choose(self, observation: Observation, human: HumanInput, last_source: ActionSource) -> Choice:
        """Who acts at this step. No model is asked while the person acts: see `shadowed`."""
        choice = self._chosen(observation, human, last_source)
        return choice if choice.source in _STANDING else _eased(choice, human.share)

    def _chosen(self, observation: Observation, human: HumanInput, last_source: ActionSource) -> Choice:
        if human.action is not None and arbitrate(self.mode, Seen(human=True)) is Act.HUMAN:
            return self._driven(human, human.action, last_source)
        if self.mode is Mode.HUMAN:
            self._hand_back()
        if self.mode is Mode.RECOVERY:
            return self._recovering(observation)
        if self.mode is Mode.ASKING:
            return self._holding(observation)
        return self._autonomous(observation)

    def _driven(self, human: HumanInput, action: Array, last_source: ActionSource) -> Choice:
        """The person acts: whatever ran is dropped before anything else."""
        if self.mode is Mode.RECOVERY:
            self._end_recovery("human", to="human")
        if self.mode is not Mode.HUMAN and self.policy is not None and last_source is not ActionSource.UNKNOWN:
            self.counts["takeovers"] += 1
            self.emit("takeover", reason=human.reason, source=last_source.name.lower())
        self.mode = Mode.HUMAN
        return Choice(source=ActionSource.HUMAN, action=action)

    def shadowed(self, observation: Observation, choice: Choice) -> Choice:
        """What policy and monitor say while the person drives; asked after the person's action was sent."""
        proposal = self.policy.act(observation) if self.policy is not None else None
        decision = self._watch(observation, None, ActionSource.HUMAN)
        return Choice(source=choice.source, action=choice.action, proposal=proposal, decision=decision)

    def _autonomous(self, observation: Observation) -> Choice:
        proposal = self.policy.act(observation) if self.policy is not None else None
        source = ActionSource.POLICY if proposal is not None else ActionSource.HOLD
        decision = self._watch(observation, proposal, source)
        if decision is None and self.monitor is not None:
            return self._late(proposal)
        if decision is not None and self._fired(decision, source):
            self._attempts = _Attempts(value=decision.value, best=decision.value, best_s=observation.time_s)
            return self._planned(observation, decision, proposal)
        return self._proposed(proposal, decision)

    def _fired(self, decision: Decision, source: ActionSource) -> bool:
        """True where a recovery is to begin. Without one, an alarm that lasts is one event."""
        fired = decision.trigger and source is ActionSource.POLICY
        if fired and (self.recovery is not None or not self._alarmed):
            self.counts["triggers"] += 1
            self.emit("trigger", score=decision.score, threshold=decision.threshold, value=decision.value)
        self._alarmed = fired
        return arbitrate(self.mode, Seen(trigger=fired and self.recovery is not None)) is Act.PLAN

    def _recovering(self, observation: Observation) -> Choice:
        assert self._attempts is not None
        run = self._attempts
        action = run.next_action()
        decision = self._watch(observation, action, ActionSource.RECOVERY)
        if decision is None:
            return self._late(None)
        if decision.value > run.best + self.limits.min_gain:
            run.best, run.best_s, run.gained = decision.value, observation.time_s, run.count
        seen = Seen(
            chunk_left=action is not None,
            better=decision.value > self.limits.enough(run.value),
            in_time=observation.time_s - run.best_s < self.limits.seconds,
        )
        act = arbitrate(self.mode, seen)
        if act is Act.CONTINUE:
            return self._next_of_chunk(run, decision, None)
        if act is Act.PLAN:
            return self._planned(observation, decision, None)
        if act is Act.HAND_BACK:
            self._end_recovery("better", to="policy")
            return self._resumed(observation, decision)
        why = f"no better value in {observation.time_s - run.best_s:.0f} s of recovery"
        return self._given_up(observation, decision, "gave_up", why)

    def _planned(self, observation: Observation, decision: Decision, proposal: Array | None) -> Choice:
        assert self.recovery is not None
        assert self._attempts is not None
        plan = self.recovery.plan(observation, decision.value)
        run = self._attempts
        if plan.item != run.item:
            if run.count - run.gained == self.limits.attempts:
                why = f"no better value on the way to {self.limits.attempts} goals"
                return self._given_up(observation, decision, "gave_up", why, proposal)
            run.count, run.item = run.count + 1, plan.item
            self.emit("recovery", attempt=run.count, **_described(plan))
        if plan.chunk is None or len(plan.chunk) == 0:
            why = plan.reason or "nothing similar enough in the recovery memory"
            return self._given_up(observation, decision, "floor", why, proposal)
        if self.mode is not Mode.RECOVERY:
            self.counts["recoveries"] += 1
        self.mode = Mode.RECOVERY
        run.chunk, run.sent = plan.chunk, 0
        return self._next_of_chunk(run, decision, proposal)

    def _next_of_chunk(self, run: _Attempts, decision: Decision, proposal: Array | None) -> Choice:
        action = run.chunk[run.sent]
        run.sent += 1
        return Choice(source=ActionSource.RECOVERY, action=action, proposal=proposal, decision=decision)

    def _given_up(
        self, observation: Observation, decision: Decision, reason: str, why: str, proposal: Array | None = None
    ) -> Choice:
        if self.teleop is None:
            self._end_recovery(reason, to="policy")
            self._reset_monitor()
            return self._proposed(proposal, decision) if proposal is not None else self._resumed(observation, decision)
        self._end_recovery(reason, to="human")
        self.mode = Mode.ASKING
        self.ask(why)
        return Choice(source=ActionSource.HOLD, action=self.hold_action(), proposal=proposal, decision=decision)

    def _resumed(self, observation: Observation, decision: Decision | None) -> Choice:
        """The policy acts again after a recovery; it starts afresh from here."""
        assert self.policy is not None
        self.policy.reset()
        return self._proposed(self.policy.act(observation), decision)

    def _late(self, proposal: Array | None) -> Choice:
        """Nobody watches at this step, so nobody acts."""
        return Choice(source=ActionSource.HOLD, action=self.hold_action(), proposal=proposal)

    def _proposed(self, proposal: Array | None, decision: Decision | None) -> Choice:
        self.mode = Mode.POLICY
        if proposal is None:
            return Choice(source=ActionSource.HOLD, action=self.hold_action(), decision=decision)
        return Choice(source=ActionSource.POLICY, action=proposal, proposal=proposal, decision=decision)

    def _holding(self, observation: Observation) -> Choice:
        decision = self._watch(observation, None, ActionSource.HOLD)
        return Choice(source=ActionSource.HOLD, action=self.hold_action(), decision=decision)

    def _hand_back(self) -> None:
        """The person let go: the policy starts afresh, nothing of before is carried over."""
        self.mode = Mode.POLICY
        if self.policy is not None:
            self.emit("hand_back", to="policy")
            self.policy.reset()

    def _watch(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision | None:
        if self.monitor is None:
            return None
        self.acted(source)
        return self.monitor.update(observation, action, source)

    def acted(self, source: ActionSource) -> None:
        """Say who acts at this step: the monitor forgets what it knew of another."""
        if self._watched not in (None, source):
            self._reset_monitor()
        self._watched = source

    def succeeded(self) -> None:
        """The episode ended well; a recovery that was running has reached something better."""
        if self.mode is Mode.RECOVERY:
            self._end_recovery("better", to="nobody")

    def _reset_monitor(self) -> None:
        if self.monitor is not None:
            self.monitor.reset()

    def ask(self, reason: str) -> None:
        """Ask the person, where there is one."""
        if self.teleop is not None:
            self.counts["asked"] += 1
            self.teleop.ask(reason)

    def _end_recovery(self, reason: str, *, to: str) -> None:
        self.counts["better"] += reason == "better"
        self.emit("recovery_end", reason=reason, to=to)
        self._attempts = None


_STANDING = (ActionSource.HUMAN, ActionSource.HOLD)
_MOTION = 6
"""values of an action; the rest is the gripper, which comes whole"""


def _eased(choice: Choice, share: float) -> Choice:
    action = np.array(choice.action)
    if share >= 1.0 or action.dtype.kind != "f":
        return choice
    action[:_MOTION] *= share
    return replace(choice, action=action)


def _described(plan: RecoveryPlan) -> dict[str, Any]:
    return {"item": plan.item, "similarity": plan.similarity, "goal_value": plan.goal_value, "reason": plan.reason}
