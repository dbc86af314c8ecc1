"""One episode on any robot: poll the person, choose who acts, guard, send, record; ten times a second.

The loop knows Protocols only. At every step the person is polled before any model is asked, and when they
drive, their action is on its way to the arm before the policy and the monitor see the step. `control` says
who acts, `safety` what is sent. Whatever ends an episode, the robot is stopped before anything else is done.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from episodes.errors import SafetyStop
from episodes.record import ActionSource, Array, Collection, EndReason, Outcome
from robot_io.clock import Clock, SimClock
from robot_io.control import Choice, Control, RecoveryLimits
from robot_io.protocols import (
    EpisodeEnd,
    EpisodeSummary,
    HumanInput,
    Learner,
    Live,
    Monitor,
    Observation,
    Policy,
    Recorder,
    Recovery,
    Review,
    Robot,
    Step,
    Teleop,
)
from robot_io.safety import Guard, Verdict


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
    review: Review | None = None,
) -> EpisodeSummary:
    """Run one episode and record it.

    `timeout_outcome` is what the cell's own predicate says of an episode that reached `max_steps`: FAILURE
    where the predicate is exact (simulation), UNKNOWN where nobody knows. Without a `teleop` a recovery that
    gives up hands back to the policy. A safety stop ends the episode as a failure and is named in
    `EpisodeSummary.fault`; any other exception is raised after the robot stands and the steps so far are
    recorded as incomplete. `review` is asked what an ended episode was after all, before it is stored.
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
        review=review,
    )
    return run.episode()


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
    review: Review | None

    t: int = 0
    control: Control = field(init=False)
    recording: bool = False
    discarded: bool = False
    last_source: ActionSource = ActionSource.UNKNOWN
    warned: str = ""
    """the fault of the step before, so that a lasting one is one event"""
    time_s: float = 0.0
    steps: Counter[ActionSource] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.control = Control(
            policy=self.policy,
            teleop=self.teleop,
            monitor=self.monitor,
            recovery=self.recovery,
            limits=self.limits,
            hold_action=lambda: self.guard.hold_action,
            emit=self._event,
        )

    def episode(self) -> EpisodeSummary:
        fault = ""
        try:
            try:
                end = self._drive()
            finally:
                self.robot.stop()
        except SafetyStop as stop:
            fault = str(stop)
            end = self._end("fault", Outcome.FAILURE, f"safety stop: {fault}", terminal=True)
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
        self.guard.reset()
        self.control.reset()
        if self.teleop is not None:
            self.teleop.reset(self.seed)
        policy_id = self.policy.policy_id if self.policy is not None else ""
        self.recorder.start(
            self.robot.spec,
            {"seed": self.seed, "policy_id": policy_id, "max_steps": self.max_steps, "collection": self.collection},
        )
        self.recording = True
        self.clock.start(self.robot.spec.fps)
        return observation

    def _poll(self, observation: Observation) -> HumanInput:
        if self.teleop is None:
            return HumanInput()
        human = self.teleop.poll(observation, self.last_source)
        self._heard(human)
        return human

    def _heard(self, human: HumanInput) -> None:
        if human.note:
            self._event("note", text=human.note)
        if human.reward:
            self._event("reward", value=human.reward)

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
        if outcome is Outcome.SUCCESS:
            self.control.succeeded()
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

    def _step(self, observation: Observation, human: HumanInput) -> None:
        choice = self.control.choose(observation, human, self.last_source)
        verdict = self.guard(choice.action, observation, choice.source)
        if verdict.stop:
            raise SafetyStop("; ".join(verdict.reasons))
        executed = self.robot.send(verdict.action)
        self.guard.sent(executed)
        source = ActionSource.HOLD if verdict.hold else choice.source
        self._warn(verdict, choice.source)
        if choice.source is ActionSource.HUMAN:
            choice = self.control.shadowed(observation, choice)
        self.control.acted(source)
        self._record(observation, human, choice, source, executed)

    def _warn(self, verdict: Verdict, source: ActionSource) -> None:
        """One fault event, and one request to the person, when the guard begins to hold."""
        fault = "; ".join(verdict.reasons) if verdict.hold else ""
        if fault and fault != self.warned:
            self._event("fault", reason=fault, source=source.name.lower())
            if source is not ActionSource.HUMAN:
                self.control.ask(fault)
        self.warned = fault

    def _event(self, kind: str, **detail: Any) -> None:
        self.recorder.event(self.t, kind, **detail)
        if self.live is not None:
            self.live.event(self.t, kind, detail)

    def _record(
        self, observation: Observation, human: HumanInput, choice: Choice, source: ActionSource, executed: Array
    ) -> None:
        policy_id = self.policy.policy_id if self.policy is not None and source is ActionSource.POLICY else ""
        step = Step(
            observation=observation,
            source=source,
            policy_action=self._fitting(choice.proposal),
            human_action=self._fitting(human.action),
            executed_action=executed,
            policy_id=policy_id,
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

    def _fitting(self, action: Array | None) -> Array | None:
        """What can stand in the record; an action of another shape was held, and the fault event says so."""
        fits = action is not None and np.shape(action) == self.guard.hold_action.shape
        return action if fits else None

    def _close(self, end: EpisodeEnd, fault: str) -> EpisodeSummary:
        if fault and self.recording:
            self._event("fault", reason=fault)
        end = self._reviewed(end, fault)
        summary = self._summary(self._keep(end), end, fault)
        if self.learner is not None:
            self.learner.end_episode(None, end.success)
        if self.live is not None:
            self.live.end(summary)
        return summary

    def _reviewed(self, end: EpisodeEnd, fault: str) -> EpisodeEnd:
        """What the person says of it after all; who stops the program instead keeps it as it ended."""
        if self.review is None or not self.recording or self.discarded or self.t == 0:
            return end
        if self.live is not None:
            self.live.end(self._summary(None, end, fault))
        try:
            human = self.review(end)
        except BaseException:
            self._keep(end)
            raise
        self._heard(human)
        self.discarded = human.discard
        if human.outcome is None:
            return end
        return replace(end, success=human.outcome, success_derivation="operator key after the end")

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
        fault = "the program was stopped" if stopped_by_person else f"{type(error).__name__}: {error}"
        try:
            if self.recording and not stopped_by_person:
                self._event("fault", reason=fault)
            kept = self._keep(end)
            if self.live is not None:
                self.live.end(self._summary(kept, end, fault))
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
            takeovers=self.control.counts["takeovers"],
            triggers=self.control.counts["triggers"],
            recoveries=self.control.counts["recoveries"],
            recoveries_better=self.control.counts["better"],
            asked=self.control.counts["asked"],
            fault=fault,
        )
