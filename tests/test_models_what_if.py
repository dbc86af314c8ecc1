"""The preview of other labels says what making them would say."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from model_samples import episodes, fitted

from assets.settings import write_settings
from episodes.errors import UsageError
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
from models.agreement import agreement
from models.dataset import load_decided
from models.labelling import mine_task
from models.stagnation import StagnationConfig
from models.what_if import RULES, effect
from pipelines.materialize import materialize

VALUES = {name: curves.value for name, curves in fitted().curves.items()}


@pytest.mark.parametrize(
    ("rule", "moved"), [("stagnation", {"slow": 0.5, "patience": 0.15}), ("three_rules", {}), ("seed_rule", {})]
)
def test_a_rule_finds_what_mining_with_it_finds(rule: str, moved: dict[str, float]) -> None:
    mined = mine_task(episodes(), VALUES, StagnationConfig(**moved), rule=rule).labels
    shown = effect(rule, moved, episodes(), VALUES)
    assert shown.intervals == len(mined) > 0
    assert shown.by_rule == dict(mined["rule"].value_counts().iter_rows())
    found = {(name, start, stop) for name, each in shown.found.items() for start, stop, _ in each}
    assert found == set(mined.select("episode_id", "start", "stop").iter_rows())


@pytest.mark.parametrize("rule", RULES)
def test_every_setting_of_a_rule_can_be_moved(rule: str) -> None:
    plain = effect(rule, {}, episodes(), VALUES).found
    assert effect(rule, {each.name: each.default for each in RULES[rule]}, episodes(), VALUES).found == plain
    changed = [effect(rule, {each.name: each.default * 1.8}, episodes(), VALUES).found for each in RULES[rule][:2]]
    assert any(found != plain for found in changed)


def test_a_higher_risk_threshold_marks_fewer_steps() -> None:
    low, high = (effect("risk", {"threshold": tau}, episodes(), VALUES).steps for tau in (0.0, 0.02))
    assert low > high > 0


def test_decided_intervals_count_where_most_of_their_steps_are_marked() -> None:
    flags = effect("stagnation", {}, episodes(), VALUES).flags
    name, marked = next((name, each) for name, each in flags.items() if each.any() and not each.all())
    start = int(marked.argmax())
    free = int((~marked).argmax())
    found = agreement(flags, stuck=[(name, start, start + 1)], free=[(name, free, free + 1), ("gone", 0, 5)])
    assert (found.found, found.stuck, found.false, found.free) == (1, 1, 0, 1)


def test_what_a_rule_cannot_have_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no rule"):
        effect("no rule", {}, episodes(), VALUES)
    with pytest.raises(UsageError, match="slow < resume"):
        effect("stagnation", {"slow": 0.9}, episodes(), VALUES)


@pytest.mark.demo
def test_a_materialization_with_the_settings_says_the_same_numbers(settled_copy: Path) -> None:
    root, task, moved = settled_copy, "tube_insertion", {"slow": 0.2, "patience": 0.3, "drop": 0.15}
    tables = [pl.read_parquet(root / f"derived/episodes/{name}/{task}/table.parquet") for name in ("decided", "split")]
    curves = pl.concat([pl.read_parquet(path) for path in sorted(root.glob("derived/values/curves/*/*.parquet"))])
    values = {str(key[0]): rows["value"].to_numpy() for key, rows in curves.group_by("episode_id", maintain_order=True)}
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    shown = effect("stagnation", moved, load_decided(EpisodeStore(root), *tables), values)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before

    settings = json.loads((root / "settings.json").read_text())
    write_settings(Workspace.open(root), {**settings, "stagnation": moved})
    materialize(Workspace.open(root), ["labels/stagnation"], only=True, say=lambda _: None, show_progress=False)
    made = json.loads((root / "derived/labels/stagnation" / task / "manifest.json").read_text())
    assert made["metadata"]["intervals"] == shown.intervals
    assert {rule: made["metadata"].get(rule, 0) for rule in shown.by_rule} == shown.by_rule
    rates, aligned = (check["figures"] for check in made["checks"])
    assert rates["stagnation"] == pytest.approx(shown.success_rate, abs=1e-12)
    assert aligned == {"aligned": shown.announced, "takeovers": shown.takeovers}
