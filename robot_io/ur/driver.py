"""The arm as the rest of the program sees it: a worker process, two rings, and one sentence when it is over.

The driver never speaks to the arm and never waits for it, but at the start. When its worker ends, for whatever reason,
the next call raises `SafetyStop` with the reason; nothing restarts by itself.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType

import numpy as np

from episodes.errors import DeviceError, SafetyStop
from episodes.record import Array
from robot_io.ur.messages import ArmState, Command, Order, from_row, to_row
from robot_io.ur.ring import Ring
from robot_io.ur.worker import WorkerConfig, empty_target, rings, run

START_S = 20.0
"""a worker that is not ready by then is killed: the client's constructor may wait for ever"""
LEAVE_S = 3.0
FIRST_STATE_S = 2.0


@dataclass(slots=True)
class UrArm:
    """One arm; use it as a context, so that no process is left.

    Raises `DeviceError` where the arm cannot be controlled: nobody there, not in remote control, registers in use.
    """

    config: WorkerConfig
    _commands: Ring = field(init=False)
    _states: Ring = field(init=False)
    _process: BaseProcess = field(init=False)
    _told: Connection = field(init=False)
    _why: str = field(init=False, default="")

    def __enter__(self) -> UrArm:
        self._commands, self._states = rings()
        spawn = get_context("spawn")
        self._told, worker_end = spawn.Pipe(duplex=False)
        arguments = (self.config, self._commands.name, self._states.name, worker_end, os.getpid())
        self._process = spawn.Process(target=run, args=arguments, daemon=True)
        self._process.start()
        worker_end.close()
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def follow(self, target: Array, over_s: float = 0.0) -> None:
        """Pull the tool to a tool pose (6,), evenly over a time; give it anew at least every `Patience.command_s`."""
        if np.shape(target) != (6,) or not np.isfinite(target).all():
            raise DeviceError(f"the arm got the target {target}; give six finite numbers")
        self._order(Order.FOLLOW, np.asarray(target, float), over_s)

    def hold(self) -> None:
        """Stand where the tool is; also this is to be given anew."""
        self._order(Order.HOLD, empty_target())

    def state(self) -> ArmState:
        """What the worker saw last."""
        self._must_live()
        row = self._states.last()
        assert row is not None
        return from_row(ArmState, row)

    def states_since(self, count: int) -> tuple[int, Array]:
        """(count now, rows of `ArmState`) of all cycles from number `count` on: the native-rate stream."""
        return self._states.count, self._states.since(count)

    @property
    def worker_pid(self) -> int:
        """Of the process that speaks to the arm."""
        assert self._process.pid is not None
        return self._process.pid

    def close(self) -> None:
        """Stop the arm and end the worker, within a few seconds; a second call does nothing."""
        if self._process.is_alive():
            self._commands.write(to_row(Command(sent_s=0.0, order=Order.LEAVE, target=empty_target())))
            self._process.join(LEAVE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(LEAVE_S)
        if not self._told.closed:
            self._told.close()
            self._commands.close(unlink=True)
            self._states.close(unlink=True)

    def _order(self, order: Order, target: Array, over_s: float = 0.0) -> None:
        sent_s = self.state().controller_s
        self._commands.write(to_row(Command(sent_s=sent_s, order=order, over_s=over_s, target=target)))

    def _wait_until_ready(self) -> None:
        if not self._told.poll(START_S):
            raise DeviceError(
                f"the arm at {self.config.link.host} does not start within {START_S:g} s; see its pendant"
            )
        told = self._heard()
        if not told.get("ready"):
            raise DeviceError(str(told["why"]))
        end_s = time.monotonic() + FIRST_STATE_S
        while self._states.count == 0 and time.monotonic() < end_s:
            self._must_live()
            time.sleep(0.002)

    def _heard(self) -> dict[str, object]:
        try:
            heard: dict[str, object] = json.loads(self._told.recv_bytes())
        except EOFError:
            self._process.join(LEAVE_S)
            return {"ready": False, "why": f"the arm's process ended ({_ending(self._process.exitcode)})"}
        return heard

    def _must_live(self) -> None:
        if not self._why and (self._told.poll() or not self._process.is_alive()):
            self._why = str(self._heard()["why"])
        if self._why:
            raise SafetyStop(f"{self._why}; look at the arm, then start again")


def _ending(code: int | None) -> str:
    """What an exit code says; below zero it is the signal that killed it."""
    if code is None:
        return "it hangs"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
