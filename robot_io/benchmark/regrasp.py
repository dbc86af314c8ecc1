"""`hil_serl_regrasp`: the same learner, and a robot that notices by itself when it is stuck and gets itself out.

A monitor watches the policy and a recovery answers it; both are fitted in `rounds`, on the run's own demonstrations
and episodes (`refit`).

What a recovery did goes into the memory of the run only: shown to the policy as the person's too, it saved no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from robot_io.benchmark.hil_serl import HilSerlConfig
from robot_io.benchmark.method import Start
from robot_io.benchmark.refit import RefitConfig, parts, refit
from robot_io.benchmark.rounds import InRounds, Rounds
from robot_io.deployment import LIMITS, load_monitor, load_recovery
from robot_io.protocols import Monitor, Recovery

REGAIN = 0.3
"""share of the lacking value: a policy that is handed nothing but a finished task never learns to finish it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegraspConfig:
    """Settings of the method beside the learner's."""

    learner: HilSerlConfig = field(default_factory=HilSerlConfig)
    refit: RefitConfig = field(default_factory=RefitConfig)
    rounds: Rounds = field(default_factory=Rounds)


class HilSerlRegrasp(InRounds):
    """Implements `Method`; the controls differ from it in `_armed`."""

    name = "hil_serl_regrasp"

    def __init__(self, start: Start, config: RegraspConfig | None = None) -> None:
        self._settings = config or RegraspConfig()
        super().__init__(start, self._settings.learner, self._settings.rounds)
        self.recovery_limits = replace(LIMITS, regain=REGAIN)

    def config(self) -> Mapping[str, Any]:
        return asdict(self._settings)

    def _armed(self, monitor: Monitor, recovery: Recovery) -> tuple[Monitor, Recovery]:
        """What watches and helps from now on, given what was fitted."""
        return monitor, recovery

    def _make(self, place: Path) -> dict[str, Any]:
        return refit(self._episodes(), place, self._settings.refit)

    def _take(self, place: Path) -> None:
        where, spec = parts(place), self._start.spec
        self.monitor, self.recovery = self._armed(load_monitor(where, spec), load_recovery(where, spec))
