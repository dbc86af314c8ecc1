"""What a client writes to the controller, who owns it, and what the running program answers.

An input belongs to the connection that put it into a recipe until that connection closes; its value stays. Inputs and
outputs are known by their RTDE names, as `input_int_register_0`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

COUNT = 48
"""integer and double registers, each way"""
INPUT_TYPES: dict[str, str] = {
    "speed_slider_mask": "UINT32",
    "speed_slider_fraction": "DOUBLE",
    "standard_digital_output_mask": "UINT8",
    "standard_digital_output": "UINT8",
    "configurable_digital_output_mask": "UINT8",
    "configurable_digital_output": "UINT8",
    "tool_digital_output_mask": "UINT8",
    "tool_digital_output": "UINT8",
    "standard_analog_output_mask": "UINT8",
    "standard_analog_output_type": "UINT8",
    "standard_analog_output_0": "DOUBLE",
    "standard_analog_output_1": "DOUBLE",
    "external_force_torque": "VECTOR6D",
    **{f"input_int_register_{i}": "INT32" for i in range(COUNT)},
    **{f"input_double_register_{i}": "DOUBLE" for i in range(COUNT)},
}
"""every input there is -> its type"""
SHARED = frozenset(name for name in INPUT_TYPES if "register" not in name and name != "external_force_torque")
"""outputs of the controller that any client may set"""


class Registers:
    """Input values with their owners and the times of their last writes, and output values."""

    def __init__(self) -> None:
        self.ints_in, self.doubles_in = [0] * COUNT, [0.0] * COUNT
        self.ints_out, self.doubles_out = [0] * COUNT, [0.0] * COUNT
        self.written_s: dict[str, float] = {}
        """input -> controller time of its last write"""
        self._owners: dict[str, Hashable] = {}

    def claim(self, name: str, owner: Hashable) -> bool:
        """Take an input for `owner`; False where another has it."""
        return name in SHARED or self._owners.setdefault(name, owner) == owner

    def release(self, owner: Hashable) -> None:
        """Free what a closed connection had."""
        self._owners = {name: holder for name, holder in self._owners.items() if holder != owner}

    def is_owned(self, name: str) -> bool:
        """Whether a connection that is open has it."""
        return name in self._owners

    def block(self, names: Iterable[str], owner: Hashable) -> None:
        """Take inputs by force, as a fieldbus adapter does."""
        self._owners |= dict.fromkeys(names, owner)

    def write(self, name: str, value: float, now_s: float) -> None:
        """Set an input register."""
        self.written_s[name] = now_s
        kind, _, index = name.rpartition("_")
        if kind == "input_int_register":
            self.ints_in[int(index)] = int(value)
        else:
            self.doubles_in[int(index)] = float(value)
