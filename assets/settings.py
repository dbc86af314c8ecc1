"""The settings of a workspace: `settings.json` holds what differs from the defaults of the models' configs.

    {"value": {"steps": 300, "cameras": ["wrist"]}, "trigger": {"alpha": 0.2}}

The names are those of `Stage.configs`. What a stage is made with is part of its version. The version is told from the
source text of the config class, not from the class, so that asking what is stale imports no torch.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from assets.stages import STAGES
from episodes.errors import UsageError
from episodes.workspace import Workspace, atomic_write

Settings = Mapping[str, Mapping[str, Any]]

CONFIGS: Mapping[str, str] = {name: where for stage in STAGES for name, where in stage.configs.items()}


def read_settings(workspace: Workspace) -> Settings:
    """What the workspace sets; {} where it sets nothing. `UsageError` for a file that cannot be right."""
    path = _path(workspace)
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text())
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error}); correct it or remove it") from error
    _check(settings, path)
    return dict(settings)


def write_settings(workspace: Workspace, settings: Settings) -> None:
    """Replace the workspace's settings; every name and field must exist."""
    _check(settings, _path(workspace))
    for name in settings:
        resolve(name, settings)
    atomic_write(_path(workspace), json.dumps(settings, sort_keys=True, indent=1).encode())


def begin_settings(workspace: Workspace, settings: Settings) -> bool:
    """Set these where the workspace sets nothing yet, never over what somebody set. True where they are what is set."""
    if not _path(workspace).is_file():
        write_settings(workspace, settings)
    return read_settings(workspace) == settings


def resolve(name: str, settings: Settings) -> Any:
    """The config called `name`: its defaults with the workspace's settings. Imports the model."""
    module, _, class_name = CONFIGS[name].partition(":")
    config = getattr(import_module(module), class_name)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.get(name, {}).items()}
    unknown = sorted(set(given) - {field.name for field in fields(config)})
    if unknown:
        known = ", ".join(field.name for field in fields(config))
        raise UsageError(f"settings.json gives {name} a {unknown[0]!r}, which it has not; it has {known}")
    try:
        return config(**given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"settings.json gives {name} values it cannot have ({error}); correct them") from error


def digest(name: str, settings: Settings) -> str:
    """16 hex digits that change with the defaults of config `name` and with what the workspace sets of it."""
    given = json.dumps(settings.get(name, {}), sort_keys=True)
    return blake2b(f"{_definition(CONFIGS[name])} {given}".encode(), digest_size=8).hexdigest()


@cache
def _definition(where: str) -> str:
    """The fields and defaults of a config class as its source has them, without comments and docstrings."""
    module, _, class_name = where.partition(":")
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    return "\n".join(ast.unparse(node) for node in body if isinstance(node, ast.AnnAssign))


def _check(settings: Any, path: Path) -> None:
    if not isinstance(settings, dict) or not all(isinstance(value, dict) for value in settings.values()):
        raise UsageError(f"{path} must hold an object of objects, such as {{'value': {{'steps': 300}}}}; correct it")
    unknown = sorted(set(settings) - set(CONFIGS))
    if unknown:
        raise UsageError(f"{path} sets {unknown[0]!r}, which is no config; there are {', '.join(CONFIGS)}")


def _path(workspace: Workspace) -> Path:
    return workspace.root / "settings.json"
