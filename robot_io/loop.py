"""One episode on any robot: poll the person, choose who acts, guard, send, record; ten times a second.

The loop knows Protocols only. At every step the person is polled before any model is asked, and when they
drive, their action is on its way to the arm before the policy and the monitor see the step. `arbiter` says
who acts, `safety` what is sent. Whatever ends an episode, the robot is stopped before anything else is done.

The monitor is reset on every change of `action_source`: what it has added up belongs to whoever acted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from episodes.errors import SafetyStop, UsageError
from episodes.record import ActionSource, Array, Collection, EndReason, Outcome
from robot_io.arbiter import Act, Mode, Seen, arbitrate
from robot_io.clock import Clock, SimClock
from robot_io.protocols import (
    Decision,
    EpisodeEnd,
    HumanInput,
    Learner,
    Monitor,
    Observation,
    Policy,
    Recorder,
    Recovery,
    RecoveryPlan,
    Robot,
    Step,
    Teleop,
)
from robot_io.safety import Guard, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryLimits:
    """When a recovery is over."""

    attempts: int = 2
    """retrievals, each with one chunk"""
    seconds: float = 4.0
    """from the trigger on, without a better value"""
    min_gain: float = 0.0
    """a value is better when it exceeds the one at the trigger by more than this"""

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.seconds <= 0.0 or self.min_gain < 0.0:
            raise UsageError(f"{self} cannot run; give attempts >= 1, seconds > 0 and min_gain >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSummary:
    """What happened, in numbers. `episode_id` is None where nothing was kept."""

    episode_id: str | None
    steps: int
    duration_s: float
    end_reason: EndReason
    success: Outcome
    success_derivation: str
    source_steps: Mapping[ActionSource, int]
    """how many steps each source acted; sums to `steps`"""
    takeovers: int
    triggers: int
    recoveries: int
    """triggers after which a chunk was sent"""
    recoveries_better: int
    """recoveries that reached a better value"""
    asked: int
    """times the robot asked the person"""
    fault: str = ""


class Live(Protocol):
    """Whoever watches the run from outside; never in the command path."""

    def step(self, t: int, step: Step, decision: Decision | None) -> None: ...
    def end(self, summary: EpisodeSummary) -> None: ...


def run_episode(
    robot: Robot,
    policy: Policy | None,
    recorder: Recorder,
    *,
    max_steps: int,
    collection: Collection,
    teleop: Teleop | None = None,
    monitor: Monitor | None = None,
    recovery: Recovery | None = None,
    learner: Learner | None = None,
    guard: Guard | None = None,
    seed: int = 0,
    clock: Clock | None = None,
    live: Live | None = None,
    recovery_limits: RecoveryLimits | None = None,
    timeout_outcome: Outcome = Outcome.UNKNOWN,
) -> EpisodeSummary:
    """Run one episode and record it.

    `timeout_outcome` is what the cell's own predicate says of an episode that reached `max_steps`: FAILURE
    where the predicate is exact (simulation), UNKNOWN where nobody knows. Without a `teleop` a recovery that
    gives up hands back to the policy. A safety stop ends the episode as a failure and is named in
    `EpisodeSummary.fault`; any other exception is raised after the robot stands and the steps so far are
    recorded as incomplete.
    """
    run = _Run(
        robot=robot,
        policy=policy,
        recorder=recorder,
        max_steps=max_steps,
        collection=collection,
        teleop=teleop,
        monitor=monitor,
        recovery=recovery,
        learner=learner,
        guard=guard or Guard(robot.spec),
        seed=seed,
        clock=clock or SimClock(),
        live=live,
        limits=recovery_limits or RecoveryLimits(),
        timeout_outcome=timeout_outcome,
    )
    return run.episode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """Who acts at this step and with what."""

    source: ActionSource
    action: Array
    proposal: Array | None = None
    """what the policy wanted"""
    decision: Decision | None = None


@dataclass(slots=True, kw_only=True)
class _Attempts:
    """A running recovery: since when, from which value, and the chunk being sent."""

    started_s: float
    value: float
    count: int = 0
    chunk: Array = field(default_factory=lambda: np.empty((0, 0)))
    sent: int = 0

    def next_action(self) -> Array | None:
        return self.chunk[self.sent] if self.sent < len(self.chunk) else None


@dataclass(slots=True, kw_only=True)
class _Run:
    """The state of one episode."""

    robot: Robot
    policy: Policy | None
    recorder: Recorder
    max_steps: int
    collection: Collection
    teleop: Teleop | None
    monitor: Monitor | None
    recovery: Recovery | None
    learner: Learner | None
    guard: Guard
    seed: int
    clock: Clock
    live: Live | None
    limits: RecoveryLimits
    timeout_outcome: Outcome

    t: int = 0
    mode: Mode = Mode.POLICY
    attempts: _Attempts | None = None
    recording: bool = False
    discarded: bool = False
    last_source: ActionSource = ActionSource.UNKNOWN
    watched: ActionSource | None = None
    """the source the monitor was last told"""
    warned: str = ""
    """the fault of the step before, so that a lasting one is one event"""
    alarmed: bool = False
    time_s: float = 0.0
    steps: Counter[ActionSource] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    # ---- the episode -------------------------------------------------------------------------------------

    def episode(self) -> EpisodeSummary:
        fault = ""
        try:
            try:
                end = self._drive()
            finally:
                self.robot.stop()
        except SafetyStop as stop:
            fault = str(stop)
            end = self._end("fault", Outcome.FAILURE, "safety stop", terminal=True)
        except BaseException as error:
            self._abandon(error)
            raise
        return self._close(end, fault)

    def _drive(self) -> EpisodeEnd:
        observation = self._start()
        while True:
            human = self._poll(observation)
            end = self._ended(observation, human)
            if end is not None:
                return end
            self._step(observation, human)
            self.clock.tick()
            observation = self.robot.observe()

    def _start(self) -> Observation:
        observation = self.robot.reset(self.seed)
        for part in (self.policy, self.monitor, self.recovery, self.guard):
            if part is not None:
                part.reset()
        if self.teleop is not None:
            self.teleop.reset(self.seed)
        policy_id = self.policy.policy_id if self.policy is not None else ""
        self.recorder.start(self.robot.spec, {"seed": self.seed, "policy_id": policy_id, "max_steps": self.max_steps})
        self.recording = True
        self.clock.start(self.robot.spec.fps)
        return observation

    def _poll(self, observation: Observation) -> HumanInput:
        if self.teleop is None:
            return HumanInput()
        human = self.teleop.poll(observation, self.last_source)
        if human.note:
            self._event("note", text=human.note)
        return human

    def _ended(self, observation: Observation, human: HumanInput) -> EpisodeEnd | None:
        self.time_s = observation.time_s
        if human.discard:
            self.discarded = True
            return self._end("operator", Outcome.UNKNOWN, "")
        if human.outcome is not None:
            return self._known(human.outcome, "operator key")
        if observation.outcome is not Outcome.UNKNOWN:
            return self._known(observation.outcome, "predicate")
        if self.t >= self.max_steps:
            known = self.timeout_outcome is not Outcome.UNKNOWN
            why = f"predicate: did not hold within {self.max_steps} steps" if known else ""
            return self._end("timeout", self.timeout_outcome, why)
        return None

    def _known(self, outcome: Outcome, derivation: str) -> EpisodeEnd:
        if outcome is Outcome.UNKNOWN:
            return self._end("operator", outcome, "")
        reason: EndReason = "success" if outcome is Outcome.SUCCESS else "failure"
        if outcome is Outcome.SUCCESS and self.mode is Mode.RECOVERY:
            self._end_recovery("better", to="nobody")
        self._event(reason, by=derivation)
        return self._end(reason, outcome, derivation, terminal=True)

    def _end(self, reason: EndReason, success: Outcome, derivation: str, *, terminal: bool = False) -> EpisodeEnd:
        return EpisodeEnd(
            end_reason=reason,
            success=success,
            success_derivation=derivation,
            collection=self.collection,
            terminal=terminal,
        )

    # ---- one step ----------------------------------------------------------------------------------------

    def _step(self, observation: Observation, human: HumanInput) -> None:
        choice = self._driven(human) if human.action is not None else self._chosen(observation)
        verdict = self.guard(choice.action, observation, choice.source)
        if verdict.stop:
            raise SafetyStop("; ".join(verdict.reasons))
        executed = self.robot.send(verdict.action)
        self.guard.sent(executed)
        source = ActionSource.HOLD if verdict.hold else choice.source
        self._warn(verdict, choice.source)
        if choice.source is ActionSource.HUMAN:
            choice = self._shadowed(observation, choice)
        self._forget_if_changed(source)
        self._record(observation, human, choice, source, executed)

    def _driven(self, human: HumanInput) -> _Choice:
        """The person acts: whatever ran is dropped before anything else."""
        assert human.action is not None
        if self.mode is Mode.RECOVERY:
            self._end_recovery("human", to="human")
        if self.mode is not Mode.HUMAN and self.policy is not None and self.t > 0:
            self.counts["takeovers"] += 1
            self._event("takeover", reason=human.reason, source=self.last_source.name.lower())
        self.mode = Mode.HUMAN
        return _Choice(source=ActionSource.HUMAN, action=human.action)

    def _shadowed(self, observation: Observation, choice: _Choice) -> _Choice:
        """What policy and monitor say while the person drives; asked after the person's action was sent."""
        proposal = self.policy.act(observation) if self.policy is not None else None
        decision = self._watch(observation, None, ActionSource.HUMAN)
        return _Choice(source=choice.source, action=choice.action, proposal=proposal, decision=decision)

    def _chosen(self, observation: Observation) -> _Choice:
        if self.mode is Mode.HUMAN:
            self._hand_back()
        if self.mode is Mode.RECOVERY:
            return self._recovering(observation)
        if self.mode is Mode.ASKING:
            return self._holding(observation)
        return self._autonomous(observation)

    def _autonomous(self, observation: Observation) -> _Choice:
        proposal = self.policy.act(observation) if self.policy is not None else None
        source = ActionSource.POLICY if proposal is not None else ActionSource.HOLD
        decision = self._watch(observation, proposal, source)
        fired = decision is not None and decision.trigger and source is ActionSource.POLICY
        if decision is not None and fired and (self.recovery is not None or not self.alarmed):
            self.counts["triggers"] += 1
            self._event("trigger", score=decision.score, threshold=decision.threshold, value=decision.value)
        self.alarmed = fired
        act = arbitrate(self.mode, Seen(trigger=fired and self.recovery is not None))
        if act is Act.PLAN and decision is not None:
            self.attempts = _Attempts(started_s=observation.time_s, value=decision.value)
            return self._planned(observation, decision, proposal)
        return self._proposed(proposal, decision)

    def _recovering(self, observation: Observation) -> _Choice:
        assert self.attempts is not None
        run = self.attempts
        action = run.next_action()
        decision = self._watch(observation, action, ActionSource.RECOVERY)
        assert decision is not None
        seen = Seen(
            chunk_left=action is not None,
            better=decision.value > run.value + self.limits.min_gain,
            attempts_left=run.count < self.limits.attempts,
            in_time=observation.time_s - run.started_s < self.limits.seconds,
        )
        act = arbitrate(self.mode, seen)
        if act is Act.CONTINUE:
            return self._next_of_chunk(run, decision, None)
        if act is Act.PLAN:
            return self._planned(observation, decision, None)
        if act is Act.HAND_BACK:
            self._end_recovery("better", to="policy")
            return self._resumed(observation, decision)
        return self._given_up(observation, decision, "gave_up", f"no better value after {run.count} recovery attempts")

    def _planned(self, observation: Observation, decision: Decision, proposal: Array | None) -> _Choice:
        assert self.recovery is not None
        assert self.attempts is not None
        plan = self.recovery.plan(observation, decision.value)
        run = self.attempts
        run.count += 1
        self._event("recovery", attempt=run.count, **_described(plan))
        if plan.chunk is None or len(plan.chunk) == 0:
            why = plan.reason or "nothing similar enough in the recovery memory"
            return self._given_up(observation, decision, "floor", why, proposal)
        if self.mode is not Mode.RECOVERY:
            self.counts["recoveries"] += 1
        self.mode = Mode.RECOVERY
        run.chunk, run.sent = plan.chunk, 0
        return self._next_of_chunk(run, decision, proposal)

    def _next_of_chunk(self, run: _Attempts, decision: Decision, proposal: Array | None) -> _Choice:
        action = run.chunk[run.sent]
        run.sent += 1
        return _Choice(source=ActionSource.RECOVERY, action=action, proposal=proposal, decision=decision)

    def _given_up(
        self, observation: Observation, decision: Decision, reason: str, why: str, proposal: Array | None = None
    ) -> _Choice:
        if self.teleop is None:
            self._end_recovery(reason, to="policy")
            self._reset_monitor()
            return self._proposed(proposal, decision) if proposal is not None else self._resumed(observation, decision)
        self._end_recovery(reason, to="human")
        self.mode = Mode.ASKING
        self._ask(why)
        return _Choice(source=ActionSource.HOLD, action=self.guard.hold_action, proposal=proposal, decision=decision)

    def _resumed(self, observation: Observation, decision: Decision | None) -> _Choice:
        """The policy acts again after a recovery; it starts afresh from here."""
        assert self.policy is not None
        self.policy.reset()
        return self._proposed(self.policy.act(observation), decision)

    def _proposed(self, proposal: Array | None, decision: Decision | None) -> _Choice:
        self.mode = Mode.POLICY
        if proposal is None:
            return _Choice(source=ActionSource.HOLD, action=self.guard.hold_action, decision=decision)
        return _Choice(source=ActionSource.POLICY, action=proposal, proposal=proposal, decision=decision)

    def _holding(self, observation: Observation) -> _Choice:
        decision = self._watch(observation, None, ActionSource.HOLD)
        return _Choice(source=ActionSource.HOLD, action=self.guard.hold_action, decision=decision)

    def _hand_back(self) -> None:
        """The person let go: the policy starts afresh, nothing of before is carried over."""
        self.mode = Mode.POLICY
        if self.policy is not None:
            self._event("hand_back", to="policy")
            self.policy.reset()

    # ---- what goes with it -------------------------------------------------------------------------------

    def _watch(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision | None:
        if self.monitor is None:
            return None
        self._forget_if_changed(source)
        return self.monitor.update(observation, action, source)

    def _forget_if_changed(self, source: ActionSource) -> None:
        if self.watched not in (None, source):
            self._reset_monitor()
        self.watched = source

    def _reset_monitor(self) -> None:
        if self.monitor is not None:
            self.monitor.reset()

    def _warn(self, verdict: Verdict, source: ActionSource) -> None:
        """One fault event, and one request to the person, when the guard begins to hold."""
        fault = "; ".join(verdict.reasons) if verdict.hold else ""
        if fault and fault != self.warned:
            self._event("fault", reason=fault, source=source.name.lower())
            if source is not ActionSource.HUMAN:
                self._ask(fault)
        self.warned = fault

    def _ask(self, reason: str) -> None:
        if self.teleop is not None:
            self.counts["asked"] += 1
            self.teleop.ask(reason)

    def _end_recovery(self, reason: str, *, to: str) -> None:
        self.counts["better"] += reason == "better"
        self._event("recovery_end", reason=reason, to=to)
        self.attempts = None

    def _event(self, kind: str, **detail: Any) -> None:
        self.recorder.event(self.t, kind, **detail)

    def _record(
        self, observation: Observation, human: HumanInput, choice: _Choice, source: ActionSource, executed: Array
    ) -> None:
        acted = self.policy is not None and source is ActionSource.POLICY
        step = Step(
            observation=observation,
            source=source,
            policy_action=choice.proposal,
            human_action=human.action,
            executed_action=executed,
            policy_id=self.policy.policy_id if self.policy is not None and acted else "",
            raw_action=human.raw,
        )
        self.recorder.step(step)
        if self.learner is not None:
            self.learner.observe(step)
        if self.live is not None:
            self.live.step(self.t, step, choice.decision)
        self.steps[source] += 1
        self.last_source = source
        self.t += 1

    # ---- the end -----------------------------------------------------------------------------------------

    def _close(self, end: EpisodeEnd, fault: str) -> EpisodeSummary:
        if fault and self.recording:
            self._event("fault", reason=fault)
        summary = self._summary(self._keep(end), end, fault)
        if self.learner is not None:
            self.learner.end_episode(None, end.success)
        if self.live is not None:
            self.live.end(summary)
        return summary

    def _keep(self, end: EpisodeEnd) -> str | None:
        """The new episode's id; None where it was discarded or had no step."""
        if not self.recording:
            return None
        if self.discarded or self.t == 0:
            self.recorder.discard()
            return None
        return self.recorder.finish(end)

    def _abandon(self, error: BaseException) -> None:
        """Record what is there as incomplete; a second failure is noted on the first."""
        stopped_by_person = isinstance(error, KeyboardInterrupt | SystemExit)
        end = EpisodeEnd(
            end_reason="operator" if stopped_by_person else "fault",
            success=Outcome.UNKNOWN,
            success_derivation="",
            collection=self.collection,
            terminal=False,
            complete=False,
        )
        try:
            if self.recording:
                self._event("fault", reason=f"{type(error).__name__}: {error}")
            self._keep(end)
        except Exception as second:
            error.add_note(f"the recording was not finished ({second}); the next start recovers it from its journal")

    def _summary(self, episode_id: str | None, end: EpisodeEnd, fault: str) -> EpisodeSummary:
        return EpisodeSummary(
            episode_id=episode_id,
            steps=self.t,
            duration_s=self.time_s,
            end_reason=end.end_reason,
            success=end.success,
            success_derivation=end.success_derivation,
            source_steps=dict(self.steps),
            takeovers=self.counts["takeovers"],
            triggers=self.counts["triggers"],
            recoveries=self.counts["recoveries"],
            recoveries_better=self.counts["better"],
            asked=self.counts["asked"],
            fault=fault,
        )


def _described(plan: RecoveryPlan) -> dict[str, Any]:
    return {"item": plan.item, "similarity": plan.similarity, "goal_value": plan.goal_value, "reason": plan.reason}
