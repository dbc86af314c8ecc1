"""The demo as `make demo` runs it, from nothing to the table, both tasks: only `make test-all` has the time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import RETURNED, run_demo
from test_demo_report import FIGURES, at

from pipelines.demo import FULL
from releases.ledger import champion

TUBE, EGGPLANT = "tube_insertion", "pick_eggplant"


@pytest.mark.slow
def test_the_full_demo_ends_with_the_figures_of_both_tasks(tmp_path: Path) -> None:
    printed = run_demo(tmp_path / "workspace", tmp_path / "report.json", quick=False)
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["tasks"]) == {TUBE, EGGPLANT}
    assert FULL.paired >= 20
    for task, told in report["tasks"].items():
        assert all(set(names) <= set(at(told, place)) for place, names in FIGURES.items()), task
        assert {told["closed_loop"][arm]["n"] for arm in RETURNED} == {FULL.paired}
        assert champion(tmp_path / "workspace", "sim", task), "it was promoted, whatever the gates said"
        assert f"{task}: closed loop, {FULL.paired} paired episodes an arm" in printed
        assert told["closed_loop"]["human_steps_saved"]["verdict"] in " ".join(printed.split())
    tube = report["tasks"][TUBE]
    assert [name for place, names in FIGURES.items() for name in names if at(tube, place)[name] is None] == []
    assert tube["value"]["voc"] >= 0.92, tube["value"]
    assert tube["value"]["success_auroc"] >= 0.90, tube["value"]
    assert tube["trigger"]["failures_flagged"] >= 0.95, tube["trigger"]
    assert tube["trigger"]["balanced_accuracy"] >= 0.90, tube["trigger"]
