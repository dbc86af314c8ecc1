"""settings.json: what a workspace sets, and the digest that tells a changed default without importing a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets import settings
from assets.settings import CONFIGS, digest, read_settings, resolve, write_settings
from episodes.errors import UsageError
from episodes.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path, create=True)


def test_every_config_has_a_definition_and_defaults() -> None:
    assert len({settings._definition(where) for where in CONFIGS.values()}) == len(CONFIGS)
    for name in CONFIGS:
        assert resolve(name, {}) is not None


def test_what_is_written_is_read_and_applied(workspace: Workspace) -> None:
    write_settings(workspace, {"value": {"steps": 7, "cameras": ["wrist"]}})
    config = resolve("value", read_settings(workspace))
    assert (config.steps, config.cameras) == (7, ("wrist",))


def test_a_workspace_without_settings_has_the_defaults(workspace: Workspace) -> None:
    assert read_settings(workspace) == {}


def test_the_digest_changes_with_what_is_set_and_with_nothing_else(workspace: Workspace) -> None:
    assert digest("value", {}) == digest("value", {"policy": {"steps": 1}})
    for name, set_here in (("value", {"steps": 1}), ("stagnation", {"patience": 0.5})):
        assert digest(name, {}) != digest(name, {name: set_here})


def test_the_digest_changes_with_a_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "made_up.py").write_text('class Config:\n    steps: int = 1\n    """steps"""\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(settings, "CONFIGS", {"made_up": "made_up:Config"})
    settings._definition.cache_clear()
    before = digest("made_up", {})
    (tmp_path / "made_up.py").write_text('class Config:\n    steps: int = 1\n    """other words"""\n')
    settings._definition.cache_clear()
    assert digest("made_up", {}) == before
    (tmp_path / "made_up.py").write_text('class Config:\n    steps: int = 2\n    """steps"""\n')
    settings._definition.cache_clear()
    assert digest("made_up", {}) != before


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "not JSON"),
        ("[]", "object of objects"),
        ('{"value": 3}', "object of objects"),
        ('{"nonsense": {}}', "'nonsense'"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(workspace: Workspace, text: str, named: str) -> None:
    (workspace.root / "settings.json").write_text(text)
    with pytest.raises(UsageError, match=named):
        read_settings(workspace)


def test_unknown_fields_and_impossible_values_are_refused(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="'stepz'"):
        write_settings(workspace, {"value": {"stepz": 3}})
    with pytest.raises(UsageError, match="cannot have"):
        write_settings(workspace, {"value": {"folds": 1}})
    with pytest.raises(UsageError, match="slow < resume"):
        write_settings(workspace, {"stagnation": {"slow": 0.7}})
    assert read_settings(workspace) == {}
