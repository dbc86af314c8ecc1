"""The one file with the limits of a site: TOML, every entry needed, nothing else in it.

`site.toml` beside this module is that of the simulated cell.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import pydantic

from episodes.errors import RegraspError, UsageError
from robot_io.ur.limits import Limits

VERSION = 1
SIMULATED = Path(__file__).with_name("site.toml")


@cache
def simulated_limits() -> Limits:
    """Those of the simulated cell."""
    return read_limits(SIMULATED)


def read_limits(path: Path) -> Limits:
    """`UsageError` names the entry that is missing, misspelt, no number, or wider than the robot's own."""
    try:
        told = tomllib.loads(path.read_text())
        limits = pydantic.TypeAdapter(Limits).validate_python(told)
    except OSError as error:
        raise UsageError(f"the site file {path} cannot be read ({error.strerror}); check its path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the site file {path} is no TOML ({error}); mend it there") from error
    except pydantic.ValidationError as error:
        raise UsageError(f"the site file {path} is wrong at {_first(error)}; compare it with {SIMULATED}") from error
    except RegraspError as error:
        raise UsageError(f"the site file {path}: {error}") from error
    if limits.version != VERSION:
        raise UsageError(f"the site file {path} is of version {limits.version}; this Regrasp reads version {VERSION}")
    return limits


def told(limits: Limits) -> str:
    """The limits for a person, a line each."""
    space, motion, joints, patience = limits.workspace, limits.motion, limits.joints, limits.patience
    blocks = ", ".join(block.name for block in space.keep_out) or "nothing"
    return "\n".join(
        [
            f"site: {limits.name}, version {limits.version}",
            f"box: {_row(space.low)} to {_row(space.high)}, m and rad; "
            f"leans by {space.tilt_rad:g} rad; keeps out of {blocks}",
            f"tool: {motion.speed_m_s:g} m/s, {motion.acceleration_m_s2:g} m/s2, {motion.jerk_m_s3:g} m/s3; "
            f"{motion.speed_rad_s:g} rad/s, {motion.acceleration_rad_s2:g} rad/s2, {motion.jerk_rad_s3:g} rad/s3; "
            f"leads by {motion.lead_m:g} m, {motion.lead_rad:g} rad",
            f"joints: {joints.speed_rad_s:g} rad/s, {joints.acceleration_rad_s2:g} rad/s2, "
            f"{joints.margin_rad:g} rad from their ends; "
            f"singular below {joints.singular:g}; {joints.clearance_m:g} m from the arm's own links",
            f"force: {limits.force.soft_n:g} N for {limits.force.soft_s:g} s, never above {limits.force.hard_n:g} N",
            f"holds after {patience.hold_after_s:g} s without a state, {patience.command_s:g} s without a command; "
            f"leaves after {patience.leave_after_s:g} s, {patience.driver_s:g} s; "
            f"the controller's watchdog after {1.0 / limits.watchdog_hz:g} s",
            *(f"camera {each.name}: {each.address}" for each in limits.cameras),
        ]
    )


def _row(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def _first(error: pydantic.ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "its top"
    return f"{place} ({first['msg'].lower()})"
