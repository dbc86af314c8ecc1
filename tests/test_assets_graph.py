"""The whole graph, really run by Dagster on a small workspace: once for all tests here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from synthetic import fill, make_episode

from assets.manifest import read_manifest
from assets.settings import write_settings
from assets.snapshot import Snapshot
from assets.stages import STAGE, STAGES
from audits.freeze import freeze
from audits.log import AuditLog
from episodes.errors import GateNotMet, UsageError
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
from pipelines.materialize import Report, materialize
from pipelines.resources import dagster_instance
from robot_io.collect import privileged_frame

SMALL = {
    "policy": {"steps": 20},
    "value": {"steps": 120, "cameras": [], "workers": 1},
    "intervention": {"steps": 60},
    "recovery": {"steps": 20},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Report, list[str]]:
    """A workspace with everything made, the report of it, and what was printed. Not to be changed."""
    root, said = tmp_path_factory.mktemp("graph") / "w", list[str]()
    fill(root)
    workspace = Workspace.open(root)
    write_settings(workspace, SMALL)
    report = materialize(workspace, say=said.append, show_progress=False)
    return workspace, report, said


@pytest.fixture
def workspace(made: tuple[Workspace, Report, list[str]], tmp_path: Path) -> Workspace:
    """A copy of it, to be changed."""
    return Workspace.open(shutil.copytree(made[0].root, tmp_path / "copy"))


def test_everything_is_made_once_in_six_runs_and_told_why(made: tuple[Workspace, Report, list[str]]) -> None:
    _, report, said = made
    assert report.runs == 6
    assert len(report.made) == len(set(report.made)) == 26
    assert set(report.seconds) == {stage.key for stage in STAGES}
    assert said[0] == "26 of 26 are stale"
    assert said[1].startswith("  new session demos, new session rollouts, new session takeovers -> episodes/raw")


def test_a_second_call_has_nothing_to_do_and_a_copy_neither(workspace: Workspace) -> None:
    said = list[str]()
    report = materialize(workspace, say=said.append, show_progress=False)
    assert (report.runs, report.made, said) == (0, [], ["nothing to do, 26 up to date"])


def test_dagster_holds_our_versions_figures_and_checks(made: tuple[Workspace, Report, list[str]]) -> None:
    import dagster as dg

    workspace = made[0]
    manifest = read_manifest(workspace, STAGE["values/model"], "insert")
    intervention = read_manifest(workspace, STAGE["models/intervention"], "insert")
    assert manifest is not None
    assert intervention is not None
    assert "alarm rate on those it was calibrated on" in intervention.metadata
    with dagster_instance(workspace) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["values", "model"]))
        assert event is not None
        assert event.asset_materialization is not None
        assert (event.asset_materialization.tags or {})["dagster/data_version"] == manifest.data_version
        shown = event.asset_materialization.metadata
        assert shown["voc all"].value == manifest.metadata["voc all"]
        assert str(shown["curves"].value).startswith("![](data:image/png;base64,")
        checks = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(["values", "model"]), "calibration"), limit=1
        )
        assert checks[0].status.value == "SUCCEEDED"
        assert set(instance.get_dynamic_partitions("session")) == {"demos", "rollouts", "takeovers"}


def test_no_file_but_dagsters_own_records_knows_where_the_workspace_is(
    made: tuple[Workspace, Report, list[str]],
) -> None:
    root = made[0].root
    files = [path for path in root.rglob("*") if path.is_file() and root / "dagster" not in path.parents]
    assert len(files) > 50
    assert [path for path in files if str(root).encode() in path.read_bytes()] == []


def test_the_curves_have_a_row_for_each_step(made: tuple[Workspace, Report, list[str]]) -> None:
    workspace = made[0]
    store = EpisodeStore(workspace.root)
    for key, column in (("values/curves", "value"), ("triggers/curves", "score")):
        (path,) = (workspace.derived / key / "takeovers").glob("*.parquet")
        rows = pl.read_parquet(path)
        lengths = {name: store.attributes(name)["length"] for name in store.ids(session="takeovers")}
        assert dict(rows.group_by("episode_id").len().iter_rows()) == lengths
        assert rows[column].is_finite().all()


def read_model(workspace: Workspace) -> str:
    """The hash of the value model by its own files."""
    from models.checkpoint import model_hash

    return model_hash(workspace.derived / "values/model/insert")


def test_the_candidate_is_a_release_that_verifies(made: tuple[Workspace, Report, list[str]]) -> None:
    from releases.bundle import open_release

    workspace = made[0]
    saved = json.loads((workspace.derived / "releases/candidate/insert/release.json").read_text())
    manifest = open_release(workspace.root, saved["version"]).manifest
    assert {entry.path.partition("/")[0] for entry in manifest.files} == {
        "value",
        "trigger",
        "memory",
        "recovery",
        "policy",
    }
    assert manifest.parents.label_freeze is None
    assert manifest.parents.value_model == read_model(workspace)
    assert manifest.features.fps == 10


def test_no_model_reads_what_only_the_simulator_knows_and_the_report_does(
    made: tuple[Workspace, Report, list[str]], workspace: Workspace
) -> None:
    """The same episodes with notes that contradict their outcomes give the same models, and another report."""
    plain, store = made[0], EpisodeStore(workspace.root)
    for episode_id in store.ids():
        length, won = store.attributes(episode_id)["length"], store.attributes(episode_id)["success"] == "success"
        place = workspace.derived / "privileged/all" / f"{episode_id}.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        privileged_frame(episode_id, [(float(won), won, won)] * length).write_parquet(place)
    fitted = {stage.key for stage in STAGES if stage.group != "episodes"}
    for group in {key.partition("/")[0] for key in fitted}:
        shutil.rmtree(workspace.derived / group)
    report_of = materialize(workspace, say=list[str]().append, show_progress=False)
    assert {key for key, _ in report_of.made} == fitted
    versions = {where: standing(where, "data_version") for where in (plain, workspace)}
    differ = {key for key in versions[plain] if versions[plain][key] != versions[workspace][key]}
    assert differ == {"reports/offline insert", "releases/candidate insert"}
    models = standing(plain, "model")
    assert len(models) == 4
    assert standing(workspace, "model") == models
    report = {where: (where.derived / "reports/offline/insert/report.json").read_text() for where in versions}
    assert json.loads(report[plain])["held_out"]["trigger"]["recall"]["n"] == 0
    assert json.loads(report[workspace])["held_out"]["trigger"]["recall"]["n"] > 0


def standing(workspace: Workspace, what: str) -> dict[str, str]:
    """`<stage> <partition>` -> its data version, or the hash of its model where it has one."""
    found = {}
    for path in sorted(workspace.derived.glob("*/*/*/manifest.json")):
        saved = json.loads(path.read_text())
        said = saved if what in saved else saved["metadata"]
        if what in said:
            found[f"{saved['asset']} {saved['partition']}"] = said[what]
    return found


def test_a_label_freeze_is_read_named_and_trained_on(workspace: Workspace) -> None:
    labels = pl.read_parquet(workspace.derived / "labels/stagnation/insert/labels.parquet")
    log, rejected = AuditLog(workspace.audits), labels["label_id"][0]
    log.append("label.verdict", rejected, by="ann", value={"verdict": "reject"}, shown={}, seconds=2.0)
    freeze(log, "labels", "first", by="ann")
    said = list[str]()
    report = materialize(workspace, ["models/intervention"], say=said.append, show_progress=False)
    assert report.made == [("labels/audited", "insert"), ("models/intervention", "insert")]
    assert said[1] == "  label freeze first -> labels/audited, models/intervention"
    manifest = read_manifest(workspace, STAGE["models/intervention"], "insert")
    assert manifest is not None
    assert manifest.metadata["label freeze"] == "first"
    audited = pl.read_parquet(workspace.derived / "labels/audited/insert/labels.parquet")
    assert dict(audited.select("label_id", "verdict").iter_rows())[rejected] == "reject"


def test_a_task_with_unknown_outcomes_is_refused_with_a_remedy_and_stops_no_other(workspace: Workspace) -> None:
    store = EpisodeStore(workspace.root)
    for seed in (900, 901):
        store.write(make_episode(seed, success=None, session="bridge", task="bridge"))
    with pytest.raises(GateNotMet, match=r"values/model of bridge.*known outcome.*page Episodes"):
        materialize(workspace, say=lambda _: None, show_progress=False)
    assert read_manifest(workspace, STAGE["episodes/split"], "bridge") is not None
    assert read_manifest(workspace, STAGE["values/curves"], "bridge") is None
    assert read_manifest(workspace, STAGE["labels/stagnation"], "insert") is not None
    outcomes = pl.read_parquet(workspace.derived / "episodes/decided/bridge/table.parquet")["success"]
    assert outcomes.to_list() == ["unknown", "unknown"]
    with pytest.raises(GateNotMet, match="known outcome"):
        materialize(workspace, say=lambda _: None, show_progress=False)
    assert materialize(workspace, task="insert", say=lambda _: None, show_progress=False).made == []


def test_names_that_are_none_are_usage_errors(made: tuple[Workspace, Report, list[str]]) -> None:
    with pytest.raises(UsageError, match="no asset 'values'"):
        materialize(made[0], ["values"])
    with pytest.raises(UsageError, match="no task 'nope'"):
        materialize(made[0], task="nope")


def test_the_sensor_asks_for_what_a_new_session_made_possible(workspace: Workspace) -> None:
    import dagster as dg

    from assets.making import Maker
    from pipelines.definitions import definitions
    from pipelines.sensors import what_is_stale

    EpisodeStore(workspace.root).write(make_episode(700, success=True, session="more"))
    maker = Maker(workspace.root)
    with dagster_instance(workspace) as instance:
        context = dg.build_sensor_context(instance=instance, resources={"maker": maker}, definitions=definitions(maker))
        result = what_is_stale(context)
        assert isinstance(result, dg.SensorResult)
        (request,) = result.run_requests or []
        assert request.partition_key == "more"
        assert [key.path for key in request.asset_selection or []] == [
            ["episodes", name] for name in ("raw", "validated", "quality")
        ]
        assert "more" in instance.get_dynamic_partitions("session")


def test_the_graph_loads_with_every_stage_and_its_lineage() -> None:
    import dagster as dg

    from pipelines.definitions import defs

    graph = defs.resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    no_stages = {"releases/champion", "reports/ablations", "benchmark/run", "benchmark/table", "benchmark/curves"}
    assert names == {stage.key for stage in STAGES} | no_stages
    for stage in STAGES:
        node = graph.get(dg.AssetKey(stage.path))
        assert {key.to_user_string() for key in node.parent_keys} == set(stage.deps)


def test_partitions_follow_the_workspace(workspace: Workspace) -> None:
    shutil.rmtree(workspace.episodes / "takeovers")
    EpisodeStore(workspace.root).write(make_episode(700, success=True, session="more"))
    materialize(workspace, ["episodes/raw"], say=lambda _: None, show_progress=False)
    with dagster_instance(workspace) as instance:
        assert set(instance.get_dynamic_partitions("session")) == {"demos", "more", "rollouts"}
    assert set(Snapshot.take(workspace).ids) == {"demos", "more", "rollouts"}
