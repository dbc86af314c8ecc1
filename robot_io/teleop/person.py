"""A person at a device, as the loop's `Teleop`.

Whoever holds the deadman drives, from that step on. After letting go they keep the arm for the device's `hold_s`,
without motion, so that a hand that changes its grip does not hand over. Then the policy comes back over `BLEND_S`, from
the pose that was commanded last: an action moves the target from where it is.
"""

from __future__ import annotations

import numpy as np

from episodes.record import ActionSource, Array
from robot_io.protocols import HumanInput, Observation, RobotSpec
from robot_io.teleop.hand import Hand, HandDevice, motion
from robot_io.teleop.operator import Keys, Operator

BLEND_S = 0.5
OPENING = "gripper/opening"
OPEN = 0.5
"""a gripper that is open wider than this was open"""


class Person:
    """Implements `Teleop`. `keys` is None where there is no terminal: then nobody can judge, only drive."""

    def __init__(self, device: HandDevice, keys: Keys | None, spec: RobotSpec) -> None:
        self._device, self._keys = device, keys
        names = list(spec.proprio_names)
        self._opening = names.index(OPENING) if OPENING in names else None
        self._at_reset = float(spec.action_space.get("gripper_at_reset", 0.0))
        self._begin()

    def reset(self, seed: int) -> None:
        """A new episode: nobody drives, and keys of before are forgotten."""
        self._begin()
        if self._keys is not None:
            self._keys.keys()
            self._keys.tell(f"recording, seed {seed}")

    def _begin(self) -> None:
        self._operator = Operator()
        self._let_go_s = float("-inf")
        self._presses: int | None = None
        self._gripper = self._at_reset
        self._asked = ""

    def ask(self, reason: str) -> None:
        """Ask at the terminal, with its bell."""
        self._asked = reason
        if self._keys is not None:
            self._keys.tell(f"\athe robot asks for help: {reason}")

    def poll(self, observation: Observation, last_source: ActionSource) -> HumanInput:
        """What the person did since the step before; never waits."""
        said, rest = self._operator.hear(self._keys.keys() if self._keys is not None else [])
        hand = self._device.read(rest)
        action = self._action(hand, observation, last_source)
        reason = "asked" if self._asked else "hand"
        if action is not None:
            self._asked = ""
        return HumanInput(
            action=action,
            raw=hand.raw,
            reason=reason,
            outcome=said.outcome,
            discard=said.discard,
            note=said.note,
            reward=said.reward,
            share=float(np.clip((observation.time_s - self._let_go_s) / BLEND_S, 0.0, 1.0)),
        )

    def _action(self, hand: Hand, observation: Observation, last_source: ActionSource) -> Array | None:
        """(7,) while the person drives."""
        if hand.held:
            self._let_go_s = observation.time_s + self._device.hold_s
        if observation.time_s >= self._let_go_s and not hand.held:
            self._presses = hand.presses
            return None
        if last_source is not ActionSource.HUMAN:
            self._gripper = self._found(observation)
        self._toggle(hand)
        moved = motion(hand.axes) if hand.held else np.zeros(6)
        return np.append(moved, self._gripper).astype(np.float32)

    def _found(self, observation: Observation) -> float:
        """The gripper as it is when the person takes over."""
        if self._opening is None:
            return self._at_reset
        return 1.0 if observation.proprio[self._opening] > OPEN else -1.0

    def _toggle(self, hand: Hand) -> None:
        if self._presses is not None and (hand.presses - self._presses) % 2:
            self._gripper = -self._gripper if self._gripper else 1.0
        self._presses = hand.presses
