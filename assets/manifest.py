"""`manifest.json`: what a stage's directory says about itself; written last, so it is there only with all the rest."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from assets.stages import Stage
from episodes.workspace import Workspace

FILE = "manifest.json"


class CheckResult(BaseModel):
    """One line of a stage's checks; an `error` that did not pass blocks everything that reads the stage."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    sentence: str
    severity: Literal["error", "warning"] = "error"
    figures: dict[str, Any] = {}

    @property
    def blocks(self) -> bool:
        return not self.passed and self.severity == "error"


class FrozenBy(BaseModel):
    """The freeze a stage read: its name, its hash, and the log's head in it."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    hash: str
    head_seq: int
    head_hash: str
    count: int


class Manifest(BaseModel):
    """What was made, from what, and what the checks said."""

    model_config = ConfigDict(frozen=True)

    asset: str
    partition: str
    data_version: str
    inputs: dict[str, str]
    """name of each ingredient of the version -> its own version"""
    config: dict[str, Any]
    """resolved, by config name"""
    freeze: FrozenBy | None
    created: str
    code_version: str
    seconds: float
    metadata: dict[str, Any]
    checks: tuple[CheckResult, ...] = ()
    files: tuple[str, ...] = ()
    """relative to the workspace"""

    @property
    def blocked_by(self) -> CheckResult | None:
        """The first check that keeps others from reading this."""
        return next((check for check in self.checks if check.blocks), None)


def read_manifest(workspace: Workspace, stage: Stage, partition: str) -> Manifest | None:
    """What stands in the stage's directory; None where nothing readable does, which counts as never made."""
    try:
        return Manifest.model_validate_json((directory(workspace, stage, partition) / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def directory(workspace: Workspace, stage: Stage, partition: str) -> Any:
    """`derived/<key>/<partition>`."""
    return workspace.derived / stage.key / partition
