"""Gates: what must hold before a release may act on a robot. First form: integrity and compatibility.

Compatibility is by exact name and unit, never by position: a model that read `tool/x` reads `tool/x` or does not run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from episodes.errors import GateNotMet
from releases.bundle import Release, verify
from releases.manifest import canonical


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


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate: met or not, and what was compared."""

    name: str
    met: bool
    detail: str


def features_of(robot: RobotProfile, *, cameras: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The `Features` of models that read all this robot gives, or only some of its cameras."""
    chosen = robot.cameras if cameras is None else cameras
    return {
        "proprio_names": robot.proprio_names,
        "proprio_units": robot.proprio_units,
        "cameras": chosen,
        "image_px": robot.image_px if chosen else 0,
        "fps": robot.fps,
        "action_space": dict(robot.action_space),
    }


def check(release: Release, robot: RobotProfile) -> list[GateResult]:
    """Run the gates in order. A changed byte is `IntegrityError` at once; nothing after it would mean anything."""
    manifest = verify(release.directory)
    return [GateResult("integrity", True, f"{len(manifest.files)} files as built"), *compatibility(release, robot)]


def compatibility(release: Release, robot: RobotProfile) -> list[GateResult]:
    """Hold what the models read and write against what the robot says of itself."""
    wanted = release.manifest.features
    missing = [camera for camera in wanted.cameras if camera not in robot.cameras]
    results = [
        _equal("task", release.manifest.task, robot.task),
        _equal("proprio names", wanted.proprio_names, tuple(robot.proprio_names)),
        _equal("proprio units", wanted.proprio_units, tuple(robot.proprio_units)),
        _equal("fps", wanted.fps, robot.fps),
        GateResult("cameras", not missing, f"no camera {', '.join(missing)}" if missing else "all there"),
    ]
    if wanted.cameras:
        results.append(_equal("image size", wanted.image_px, robot.image_px))
    keys = sorted({*wanted.action_space, *robot.action_space})
    return results + [
        _equal(f"action {key}", wanted.action_space.get(key), robot.action_space.get(key)) for key in keys
    ]


def require(results: list[GateResult]) -> None:
    """`GateNotMet` naming every gate that is not met."""
    unmet = [f"{result.name} ({result.detail})" for result in results if not result.met]
    if unmet:
        raise GateNotMet(f"the release does not fit this robot: {'; '.join(unmet)}; build one for it")


def _equal(name: str, wanted: Any, found: Any) -> GateResult:
    same = json.loads(canonical(wanted)) == json.loads(canonical(found))  # 10 is 10.0, a list is a tuple
    return GateResult(name, same, "equal" if same else f"release {_brief(wanted)}, robot {_brief(found)}")


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
