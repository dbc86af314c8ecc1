"""The registers through which client and control script speak: a command, its arguments, the state, the answer.

Integer input 0 is the command, the others and the doubles are its arguments. Integer output 0 is the state (1 ready,
2 done), 1 an integer answer, 2 the word of asynchronous moves; doubles answer from 0 on. `offset` shifts all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np

from episodes.record import Array
from robot_io.ursim.motion import ScriptError
from robot_io.ursim.registers import Registers

RUNNING_BIT = 15
COUNTER_SHIFT, OPERATION_SHIFT, COUNT_MASK = 16, 24, 127


class State(IntEnum):
    """What the script says of itself."""

    READY = 1
    DONE = 2


class Mailbox:
    """The script's side of the registers."""

    def __init__(self, registers: Registers, offset: int) -> None:
        self._registers, self._offset = registers, offset
        self._writes = self._operations = 0
        self.async_runs = False

    @property
    def command(self) -> int:
        return self.integer(0)

    def integer(self, index: int) -> int:
        """An integer argument."""
        return self._registers.ints_in[self._offset + index]

    def number(self, index: int) -> float:
        """A double argument. `ScriptError` for NaN or infinity, which no motion takes."""
        return float(self.vector(index, 1)[0])

    def vector(self, start: int, size: int = 6) -> Array:
        """(size,) double arguments from `start` on."""
        found = np.array(self._registers.doubles_in[self._offset + start : self._offset + start + size])
        if not np.isfinite(found).all():
            raise ScriptError(f"an argument is not a finite number: {found.tolist()}")
        return found

    def say(self, state: State) -> None:
        """Write the state."""
        self._registers.ints_out[self._offset] = state

    def answer(self, values: Iterable[float]) -> None:
        """Doubles, from the first register on."""
        for index, value in enumerate(values, start=self._offset):
            self._registers.doubles_out[index] = float(value)

    def answer_integer(self, value: int) -> None:
        """The integer answer."""
        self._registers.ints_out[self._offset + 1] = int(value)

    def async_begins(self) -> None:
        """A move that the client does not wait for begins."""
        self._operations = (self._operations + 1) & COUNT_MASK
        self.async_runs = True
        self._write_async()

    def async_ends(self) -> None:
        """It is over."""
        self.async_runs = False
        self._write_async()

    def _write_async(self) -> None:
        self._writes = (self._writes + 1) & COUNT_MASK
        word = (self._writes << COUNTER_SHIFT) | (self._operations << OPERATION_SHIFT)
        self._registers.ints_out[self._offset + 2] = word | (self.async_runs << RUNNING_BIT)
