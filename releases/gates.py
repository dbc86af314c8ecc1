"""Gates: what must hold before a release may act on a robot: its bytes, its figures, and that it fits the robot.

Compatibility is by exact name and unit, never by position: a model that read `tool/x` reads `tool/x` or does not run.
Figures are those that the release carries of episodes that nothing was learned from (validation and test). Those are
few, so a point estimate may miss its bound by chance: a figure fails where its whole 95 % interval lies on the wrong
side of the bound, or where it is undefined. A constant model fails too: its value-order correlation is 0, always.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from episodes.errors import GateNotMet
from releases.bundle import Release, verify
from releases.manifest import canonical

FIGURE_RULE = "A figure fails where its whole 95 % interval lies on the wrong side of the bound, or it is undefined."
"""to be told beside the figures"""


class RobotProfile(Protocol):
    """What a robot says about itself; `robot_io.protocols.RobotSpec` is one."""

    @property
    def task(self) -> str: ...
    @property
    def fps(self) -> float: ...
    @property
    def proprio_names(self) -> tuple[str, ...]: ...
    @property
    def proprio_units(self) -> tuple[str, ...]: ...
    @property
    def cameras(self) -> tuple[str, ...]: ...
    @property
    def image_px(self) -> int: ...
    @property
    def action_space(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What one held-out figure must reach."""

    name: str
    part: str
    """value or trigger"""
    figure: str
    limit: float
    at_least: bool = True

    def judge(self, held_out: Mapping[str, Any]) -> GateResult:
        """Hold the figure against the bound: it fails by its whole interval, or because it is missing or undefined."""
        measured = held_out.get(self.part) or {}
        measured = measured.get(self.figure) or {"value": None}
        value = measured["value"]
        best = measured.get("hi" if self.at_least else "lo")
        best = value if best is None else best
        met = value is not None and (best >= self.limit if self.at_least else best <= self.limit)
        bound = f"{'at least' if self.at_least else 'at most'} {self.limit:g}"
        return GateResult(name=self.name, met=met, found=_told(measured), bound=bound)


BOUNDS = (
    Bound(name="VOC of V, nominal successes", part="value", figure="voc_nominal", limit=0.82),
    Bound(name="AUROC of W", part="value", figure="success_auroc", limit=0.80),
    Bound(name="failures flagged", part="trigger", figure="failures_flagged", limit=0.80),
    Bound(name="successes alarmed", part="trigger", figure="successes_alarmed", limit=0.25, at_least=False),
)
"""The first two are what the check of `values/model` asks for out of fold; the last two are ours: a trigger that misses
every fifth failure, or stops every fourth success, costs people more than it saves them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate: met or not, what was found, and what was asked for."""

    name: str
    met: bool
    found: str
    bound: str


def judge(release: Release, robot: RobotProfile | None) -> list[GateResult]:
    """All gates in order; a robot that nothing describes is one that the release does not fit.

    A changed byte is `IntegrityError` at once; nothing after it would mean anything.
    """
    figures = judge_figures(release)
    if robot is not None:
        return [*figures, *check(release, robot)[1:]]
    nobody = GateResult(name="robot", met=False, found="nothing describes this profile", bound="fits the release")
    return [*figures, nobody]


def judge_figures(release: Release) -> list[GateResult]:
    """Integrity and the held-out figures: what `promote` asks for. Whether it fits a robot is asked where it runs."""
    held_out = release.manifest.evaluation.get("held_out")
    figures = [bound.judge(held_out if isinstance(held_out, dict) else {}) for bound in BOUNDS]
    return [_integrity(release), *figures]


def check(release: Release, robot: RobotProfile) -> list[GateResult]:
    """What must hold for it to run at all: its bytes, and what models read and write against what the robot says."""
    wanted = release.manifest.features
    missing = [camera for camera in wanted.cameras if camera not in robot.cameras]
    results = [
        _integrity(release),
        _equal("task", release.manifest.task, robot.task),
        _equal("proprio names", wanted.proprio_names, tuple(robot.proprio_names)),
        _equal("proprio units", wanted.proprio_units, tuple(robot.proprio_units)),
        _equal("fps", wanted.fps, robot.fps),
        GateResult(name="cameras", met=not missing, found=_listed(robot.cameras), bound=_listed(wanted.cameras)),
    ]
    if wanted.cameras:
        results.append(_equal("image size", wanted.image_px, robot.image_px))
    keys = sorted({*wanted.action_space, *robot.action_space})
    return results + [
        _equal(f"action {key}", wanted.action_space.get(key), robot.action_space.get(key)) for key in keys
    ]


def require(results: list[GateResult]) -> None:
    """`GateNotMet` naming every gate that is not met."""
    if unmet := told_unmet(results):
        raise GateNotMet(f"the release may not run there: {'; '.join(unmet)}; build one that may")


def told_unmet(results: list[GateResult]) -> list[str]:
    """Each gate that is not met in words: its name, what was found, what was asked for."""
    return [f"{result.name} (found {result.found}, asked for {result.bound})" for result in results if not result.met]


def _integrity(release: Release) -> GateResult:
    manifest = verify(release.directory)
    return GateResult(name="integrity", met=True, found=f"{len(manifest.files)} files as built", bound="as built")


def _equal(name: str, wanted: Any, found: Any) -> GateResult:
    same = json.loads(canonical(wanted)) == json.loads(canonical(found))  # 10 is 10.0, a list is a tuple
    return GateResult(name=name, met=same, found=_brief(found), bound=_brief(wanted))


def _told(measured: Mapping[str, Any]) -> str:
    if measured["value"] is None:
        return "undefined"
    interval = "" if measured.get("lo") is None else f" [{measured['lo']:.3g}, {measured['hi']:.3g}]"
    return f"{measured['value']:.3g}{interval} n {measured['n']}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
