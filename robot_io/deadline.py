"""Models behind a deadline: each is asked in a thread of its own, and one that does not answer in time has no answer.

The robot holds at that step. A late answer belongs to an observation that is gone and is dropped; while a model is
still at an old question it gets no new one, so that nothing queues up behind one that hangs. What a model raises is
raised at the next question.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from episodes.record import ActionSource, Array
from robot_io.protocols import Decision, Monitor, Observation, Policy, Recovery, RecoveryPlan

SHARE = 0.4
"""of a step's period that policy and monitor may take, each; a plan may take it too, in place of the policy"""
T = TypeVar("T")


class Forgets(Protocol):
    """Any model of the loop."""

    def reset(self) -> None: ...


class Asked(Generic[T]):
    """One model in one thread; the thread is a daemon, so that a model that hangs does not keep the program."""

    def __init__(self, model: Forgets, deadline_s: float) -> None:
        self._model, self._deadline_s = model, deadline_s
        self._forget = threading.Event()
        self._questions: SimpleQueue[tuple[Callable[[], T], Future[T]]] = SimpleQueue()
        self._open: Future[T] | None = None
        threading.Thread(target=self._answer, daemon=True).start()

    def forget(self) -> None:
        """Reset the model before its next answer; nobody waits for it."""
        self._forget.set()

    def ask(self, question: Callable[[], T]) -> T | None:
        """The answer, or None where it is not there in time."""
        if self._open is not None:
            if not self._open.done():
                return None
            self._open.result()
        self._open = Future()
        self._questions.put((question, self._open))
        try:
            answer = self._open.result(self._deadline_s)
        except TimeoutError:
            if not self._open.done():
                return None
            answer = self._open.result()  # it came just now, or the model raised this
        self._open = None
        return answer

    def _answer(self) -> None:
        while True:
            question, future = self._questions.get()
            try:
                if self._forget.is_set():
                    self._forget.clear()
                    self._model.reset()
                future.set_result(question())
            except Exception as error:
                future.set_exception(error)


class TimelyPolicy:
    """Implements `Policy`."""

    def __init__(self, policy: Policy, deadline_s: float) -> None:
        self.policy_id = policy.policy_id
        self._policy, self._asked = policy, Asked[Array | None](policy, deadline_s)

    def reset(self) -> None:
        self._asked.forget()

    def act(self, observation: Observation) -> Array | None:
        return self._asked.ask(lambda: self._policy.act(observation))


class TimelyMonitor:
    """Implements `Monitor`."""

    def __init__(self, monitor: Monitor, deadline_s: float) -> None:
        self._monitor, self._asked = monitor, Asked[Decision | None](monitor, deadline_s)

    def reset(self) -> None:
        self._asked.forget()

    def update(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision | None:
        return self._asked.ask(lambda: self._monitor.update(observation, action, source))


class TimelyRecovery:
    """Implements `Recovery`; no plan in time is no plan, and the person is asked."""

    def __init__(self, recovery: Recovery, deadline_s: float) -> None:
        self._recovery, self._asked = recovery, Asked[RecoveryPlan](recovery, deadline_s)

    def reset(self) -> None:
        self._asked.forget()

    def plan(self, observation: Observation, value: float) -> RecoveryPlan:
        plan = self._asked.ask(lambda: self._recovery.plan(observation, value))
        if plan is None:
            return RecoveryPlan(chunk=None, similarity=-1.0, goal_value=value, reason="no plan in time")
        return plan


@dataclass(frozen=True, slots=True)
class Timely:
    """Puts what there is behind a deadline; None leaves it as it is, where time is simulated."""

    deadline_s: float | None

    def policy(self, policy: Policy | None) -> Policy | None:
        return TimelyPolicy(policy, self.deadline_s) if policy and self.deadline_s else policy

    def monitor(self, monitor: Monitor | None) -> Monitor | None:
        return TimelyMonitor(monitor, self.deadline_s) if monitor and self.deadline_s else monitor

    def recovery(self, recovery: Recovery | None) -> Recovery | None:
        return TimelyRecovery(recovery, self.deadline_s) if recovery and self.deadline_s else recovery
