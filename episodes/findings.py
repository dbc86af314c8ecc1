"""What is said of how good an episode is: figures, what is wrong in words and at which step, and a suggestion.

A suggestion (keep, weight, exclude) is not a decision: people decide, and an excluded episode stays in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from episodes.footage import CameraQuality

Verdict = Literal["keep", "weight", "exclude"]
VERDICTS: tuple[Verdict, ...] = ("keep", "weight", "exclude")
"""from harmless to bad"""

WEIGHT = 0.5
"""suggested for one fault, its square for more: GreenVLA weights by quality and publishes no figures"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a person should know before training on the episode."""

    defect: str
    verdict: Verdict
    reason: str
    """in words, with the figure"""
    key: str = ""
    """the camera or array it is about"""
    step: int = 0
    """where it is to be seen"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The figures of one episode; None where it has nothing to measure. Shares are of its steps, 0 to 1."""

    steps: int
    tremble: float | None = None
    """mean over steps and axes that are not idle, 0 to 1"""
    idle_share: float | None = None
    state_diversity: float | None = None
    """metres or radians"""
    dead_axes: int | None = None
    """of the wrench's six, those that never change"""
    clipped_share: float | None = None
    bad_stamps: int = 0
    """repeated and backward, in the source"""
    gaps: int = 0
    dropped_share: float = 0.0
    outside_share: float | None = None
    quaternion_error: float | None = None
    length_mismatches: int = 0
    human_share: float | None = None
    """of an episode with a person watching, how much of it they drove"""
    repeated_share: float | None = None
    """of steps in which the arm moves, the worst camera"""
    frozen_s: float | None = None
    """longest stretch with one frame while the arm moves, the worst camera"""
    cameras: tuple[CameraQuality, ...] = ()
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Quality:
        """From the dictionary that `dataclasses.asdict` made of one."""
        cameras = tuple(CameraQuality(**camera) for camera in row["cameras"])
        findings = tuple(Finding(**finding) for finding in row["findings"])
        return cls(**{**{name: row[name] for name in cls.__slots__}, "cameras": cameras, "findings": findings})

    @property
    def verdict(self) -> Verdict:
        """The gravest of its findings; `keep` without any."""
        return max((finding.verdict for finding in self.findings), key=VERDICTS.index, default="keep")

    @property
    def weight(self) -> float:
        """The suggested sampling weight."""
        faults = sum(finding.verdict == "weight" for finding in self.findings)
        return 0.0 if self.verdict == "exclude" else WEIGHT ** min(faults, 2)

    @property
    def ranked(self) -> tuple[Finding, ...]:
        """The findings, the gravest first."""
        return tuple(sorted(self.findings, key=lambda finding: -VERDICTS.index(finding.verdict)))
