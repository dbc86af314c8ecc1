"""The command line: exit codes, one sentence for what goes wrong, JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from release_parts import features_of, make_parts, make_release
from synthetic import make_episode

from assets.making import Made
from audits.log import AuditLog
from episodes.errors import DataRefused
from episodes.store import EpisodeStore
from episodes.workspace import one_at_a_time, workspace_lock
from pipelines import cli
from pipelines.cli import main
from pipelines.commands import graph
from pipelines.materialize import _pressed_is_an_interrupt
from releases.ledger import history

DATA = Path(__file__).parent / "data"
TUBE = "tube_insertion"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with one episode."""
    EpisodeStore(tmp_path / "w").write(make_episode(1, success=True))
    return tmp_path / "w"


def run(root: Path, *arguments: str) -> int:
    return main([*arguments, "--root", str(root)])


def test_help_answers_without_anything_heavy() -> None:
    code = (
        "import sys; from pipelines.cli import main; code = main(['--help']);"
        "heavy = {'torch', 'dagster', 'mujoco', 'streamlit', 'polars', 'sqlalchemy', 'h5py'} & set(sys.modules);"
        "sys.exit(f'{heavy}' if heavy else code)"
    )
    repository = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for verb in ("demo", "collect", "import", "inspect", "materialize", "ui", "app", "audit", "release", "deploy"):
        assert verb in done.stdout


def test_the_module_is_the_command() -> None:
    repository = Path(__file__).parent.parent
    command = [sys.executable, "-m", "pipelines", "materialize", "--root", "nowhere"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 2
    assert done.stderr == "nowhere is no workspace yet; make one with `regrasp demo` or `regrasp import`\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["materialize", "--nonsense"],
        ["collect", "--robot", "ur5e-of-somebody"],
        ["audit"],
        ["audit", "freeze", "opinions", "x"],
        ["import"],
    ],
)
def test_a_command_that_is_none_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().out == ""


def test_the_root_may_stand_before_the_verb_or_in_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--root", str(root), "inspect"]) == 0
    monkeypatch.setenv("REGRASP_ROOT", str(root))
    assert main(["inspect"]) == 0
    assert capsys.readouterr().out.count("s1") == 2


def test_inspect_lists_and_shows_for_people_and_for_programs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "inspect", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["session"], listed["task"], listed["success"]) == ("s1", "insert", "success")
    assert run(root, "inspect", listed["episode_id"][:6], "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["episode_id"] == listed["episode_id"]
    assert shown["defects"] == ["warning: the units of the actions are not declared"]
    assert run(root, "inspect", listed["episode_id"]) == 0
    assert "collection: rollout" in capsys.readouterr().out
    assert run(root, "inspect", "0123456789abcdef") == 3


def test_inspect_shows_the_outcome_that_was_decided_beside_the_recorded_one(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (episode_id,) = EpisodeStore(root).ids()
    table = root.parent / "outcomes.csv"
    for decided, shown in (("success", []), ("failure", ["decided: failure"])):
        table.write_text(f"episode_id,success\n{episode_id},{decided}\n")
        assert run(root, "label", "episodes", str(table)) == 0
        capsys.readouterr()
        assert run(root, "inspect", episode_id) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "success: success" in lines
        assert [line for line in lines if line.startswith("decided")] == shown
    assert run(root, "inspect") == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("  1 failure")
    assert run(root, "inspect", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["success"], listed["decided"]) == ("success", "failure")


def test_robosuite_comes_in_as_three_episodes_with_nothing_invented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "w"
    source = str(next((DATA / "robosuite_lift_hdf5").rglob("*.hdf5")))
    assert run(root, "import", source) == 0
    assert "3 imported, 0 already there, 0 refused" in capsys.readouterr().out
    assert run(root, "import", source) == 0
    assert "0 imported, 3 already there" in capsys.readouterr().out
    assert run(root, "inspect", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert sorted(row["length"] for row in listed) == [392, 482, 510]
    assert {row["success"] for row in listed} == {"unknown"}


def test_an_import_fails_where_nothing_of_the_dataset_is_there_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, lab = tmp_path / "w", tmp_path / "lab"
    shutil.copytree(DATA / "seed_json", lab)
    torn = lab / "episode_000000" / "episode.json"
    torn.write_text('{"task": "x", "steps": [')
    assert run(root, "import", str(lab)) == 0
    assert "1 imported, 0 already there, 1 refused" in capsys.readouterr().out
    assert run(root, "import", str(lab)) == 0
    assert "0 imported, 1 already there, 1 refused" in capsys.readouterr().out
    assert run(root, "import", str(lab), "--strict") == 3
    assert run(root, "import", str(torn)) == 3


def test_the_same_seeds_again_are_not_called_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "w"
    once = ("collect", "--episodes", "1", "--cameras", "third")
    assert run(root, *once, "--session", "a") == 0
    assert "session a: 1 episodes recorded" in capsys.readouterr().out
    assert run(root, *once, "--session", "b") == 0
    told = capsys.readouterr().out
    assert "session b: 0 episodes recorded, 0 successes, 1 already there in another session" in told
    assert EpisodeStore(root).sessions() == ["a"]


def test_a_renderer_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "doctor", "--root", str(tmp_path / "w")]
    given = {**os.environ, "MUJOCO_GL": "nonsense"}
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, env=given)
    assert done.returncode == 2
    assert "MUJOCO_GL: nonsense); set MUJOCO_GL to egl or osmesa, or leave it out" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_dataset_without_outcomes_stops_at_the_value_and_says_where_to_give_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "w"
    assert run(root, "import", str(next((DATA / "robosuite_lift_hdf5").rglob("*.hdf5")))) == 0
    assert run(root, "materialize") == 4
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "values/model" in told
    assert "outcomes are needed; give them on the app's page Episodes" in told


def test_a_foreign_file_is_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tmp_path / "notes.hdf5"
    foreign.write_text("not this")
    assert run(tmp_path / "w", "import", str(foreign)) == 3
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert run(tmp_path / "w", "import", str(tmp_path / "gone")) == 2


def test_a_newer_workspace_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "workspace.json").write_text('{"schema_version": 99}')
    assert run(root, "materialize") == 3
    assert "install a newer Regrasp" in capsys.readouterr().err


def test_materialize_names_what_it_does_not_know(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "materialize", "values/nonsense") == 2
    assert "values/model" in capsys.readouterr().err
    assert run(root, "materialize", "--task", "nonsense") == 2


def test_a_lost_split_is_not_drawn_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "materialize", "episodes/split") == 0
    kept = (root / "split.parquet").read_bytes()
    (root / "split.parquet").unlink()
    capsys.readouterr()
    assert run(root, "materialize", "episodes/split") == 5
    assert "restore it from a copy" in capsys.readouterr().err
    (root / "split.parquet").write_bytes(kept)
    assert run(root, "materialize", "episodes/split") == 0


def test_an_audit_log_is_shown_exported_continued_and_verified(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = AuditLog(root / "audits.sqlite")
    log.append("episode.note", "e1", by="ann", value={"text": "odd"}, shown={}, seconds=1.0)
    assert run(root, "audit", "freeze", "episodes", "first", "--by", "ann") == 0
    assert run(root, "audit", "freeze", "episodes", "first", "--by", "ann") == 3
    capsys.readouterr()
    assert run(root, "audit", "log", "--json") == 0
    assert [event["kind"] for event in json.loads(capsys.readouterr().out)] == ["episode.note", "freeze"]
    assert run(root, "audit", "export", str(tmp_path / "log.jsonl")) == 0
    EpisodeStore(tmp_path / "other").write(make_episode(2, success=True))
    assert run(tmp_path / "other", "audit", "import", str(tmp_path / "log.jsonl")) == 0
    assert run(tmp_path / "other", "audit", "verify") == 0
    assert "1 decisions and 1 freezes" in capsys.readouterr().out


def test_a_lost_tail_of_the_log_shows_against_what_the_ledger_noted(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = AuditLog(root / "audits.sqlite")
    for text in ("odd", "odder"):
        log.append("episode.note", "e1", by="ann", value={"text": text}, shown={}, seconds=1.0)
    assert run(root, "release", "promote", make_release(root, make_parts(root / "parts")).version) == 0
    assert run(root, "audit", "verify") == 0
    with closing(sqlite3.connect(root / "audits.sqlite")) as database, database:
        database.execute("DELETE FROM events WHERE seq = 2")
    capsys.readouterr()
    assert run(root, "audit", "verify") == 5
    assert "ends at event 1, but event 2 was noted" in capsys.readouterr().err


def test_releases_are_listed_promoted_and_rolled_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = make_release(root, make_parts(root / "first")).version
    second = make_release(root, make_parts(root / "second", scale=2.0)).version
    assert run(root, "release", "promote", first, "--by", "demo") == 0
    assert run(root, "release", "promote", first, "--profile", "ur5e", "--by", "demo") == 4
    assert run(root, "release", "promote", second, "--by", "ann") == 0
    assert run(root, "release", "rollback", TUBE, "--by", "ann") == 0
    capsys.readouterr()
    assert run(root, "release", "list", "--json") == 0
    listed = {row["release"]: row["champion on"] for row in json.loads(capsys.readouterr().out)}
    assert listed == {first[:16]: "sim", second[:16]: ""}
    assert run(root, "release", "show", first, "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == first
    assert run(root, "release", "show", first) == 0
    assert capsys.readouterr().out.startswith(f"version: {first}\n")
    assert run(root, "release", "verify", "0" * 16) == 2
    capsys.readouterr()
    assert run(root, "release", "verify", first, "--json") == 0
    verified = json.loads(capsys.readouterr().out)
    assert (verified["version"], verified["verified"], len(verified["files"])) == (first, True, 13)


def test_on_a_real_robots_profile_nobody_decides_by_default(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = make_release(root, make_parts(root / "first")).version
    second = make_release(root, make_parts(root / "second", scale=2.0)).version
    assert run(root, "release", "promote", first) == 0, "the account that runs it is good enough for sim"
    assert run(root, "release", "promote", first, "--profile", "ur5e") == 2
    assert "give a name with --by" in capsys.readouterr().err
    for version in (first, second):
        assert run(root, "release", "promote", version, "--profile", "ur5e", "--by", "ann") == 0
    assert run(root, "release", "rollback", TUBE, "--profile", "ur5e") == 2
    assert run(root, "release", "rollback", TUBE, "--profile", "ur5e", "--by", "ann") == 0
    assert [move.by for move in history(root, profile="ur5e")] == ["ann"] * 3


def test_what_the_gates_refuse_is_promoted_only_for_a_reason(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = make_release(root, make_parts(root / "bare"), evaluation={}).version
    assert run(root, "release", "promote", bare, "--by", "ann") == 4
    error = capsys.readouterr().err
    assert "AUROC of W (found undefined, asked for at least 0.8)" in error
    assert "--despite REASON" in error
    assert run(root, "release", "promote", bare, "--by", "ann", "--despite", "to be looked at") == 0
    assert "because: to be looked at" in capsys.readouterr().out


def test_the_gates_of_a_profile_are_told_one_by_one(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from robot_io.sim import make_robot

    robot = make_robot(TUBE, cameras=(), image_px=128)
    good = make_release(root, make_parts(root / "good"), features=features_of(robot.spec)).version
    assert run(root, "release", "gate", good, "--json") == 0
    rows = {row["gate"]: row for row in json.loads(capsys.readouterr().out)}
    assert all(row["passed"] for row in rows.values())
    assert rows["failures flagged"] == {
        "gate": "failures flagged",
        "passed": True,
        "found": "0.9 [0.8, 1] n 20",
        "bound": "at least 0.8",
    }
    assert run(root, "release", "gate", good, "--profile", "ur5e") == 4
    captured = capsys.readouterr()
    assert captured.out.count("passed") == 6, "five gates and the column's name"
    assert "whole 95 % interval lies on the wrong side" in captured.out
    assert "FAILED  nothing describes this profile" in captured.out
    assert captured.err.count("\n") == 1
    bare = make_release(root, make_parts(root / "bare"), evaluation={}).version
    assert run(root, "release", "gate", bare) == 4
    assert "VOC of V, nominal successes (found undefined, asked for at least 0.82)" in capsys.readouterr().err
    assert run(root, "release", "diff", good, bare, "--json") == 0
    rows = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["evaluation.held_out.value.voc_nominal.value"] == {
        "what": "evaluation.held_out.value.voc_nominal.value",
        good[:16]: 0.9,
        bare[:16]: "-",
    }
    assert run(root, "release", "diff", good, good) == 0
    assert capsys.readouterr().out == "nothing differs\n"


def test_a_flipped_byte_keeps_a_release_off_the_robot(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version = make_release(root, make_parts(root / "parts")).version
    assert run(root, "release", "promote", version) == 0
    weights = root / "releases" / version[:16] / "value" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert run(root, "release", "verify", version) == 5
    assert run(root, "deploy", "--robot", "sim") == 5
    assert "value/model.safetensors" in capsys.readouterr().err


def test_without_a_champion_there_is_nothing_to_deploy(root: Path) -> None:
    assert run(root, "deploy") == 2


@pytest.mark.parametrize("server", ["ui", "app"])
def test_a_server_whose_port_is_taken_starts_nothing(
    root: Path, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(graph, "_become", lambda command, **environment: started.append(command))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run(root, server, "--port", str(port)) == 2
    captured = capsys.readouterr()
    assert captured.err == f"port {port} of this machine is in use by another program; give another with --port\n"
    assert (captured.out, started, (root / "dagster").exists()) == ("", [], False)
    assert run(root, server, "--port", "70000") == 2


@pytest.mark.parametrize(
    "arguments",
    [["demo", "--quick"], ["materialize"], ["collect", "--episodes", "1"], ["import", str(DATA / "seed_json")]],
    ids=lambda arguments: str(arguments[0]),
)
def test_beside_a_demo_nothing_else_is_written(
    root: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(root.rglob("*"))
    with workspace_lock(root, alone="`regrasp demo`"):
        held = sorted(root.rglob("*"))
        assert run(root, *arguments) == 3
        assert sorted(root.rglob("*")) == held
    assert len(held) == len(before) + 1
    captured = capsys.readouterr()
    assert captured.out == ""
    told = f"{root} is in use by `regrasp demo` (process {os.getpid()}); wait until it ends, or end it\n"
    assert captured.err == told


def test_a_second_materialization_is_refused_at_once_and_other_writers_are_not(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with one_at_a_time(root, "materialize"):
        assert run(root, "materialize") == 3
        told = f"{root} is in use by `regrasp materialize` (process {os.getpid()}); wait until it ends, or end it\n"
        assert capsys.readouterr().err == told
        assert run(root, "import", str(DATA / "seed_json")) == 0
        with pytest.raises(DataRefused, match="in use"), workspace_lock(root, alone="`regrasp demo`"):
            pass


def test_a_run_of_the_graph_is_refused_beside_a_demo(root: Path) -> None:
    from pipelines.definitions import maker_beside_others

    maker = maker_beside_others(root)
    with workspace_lock(root, alone="`regrasp demo`"), pytest.raises(DataRefused, match="in use by `regrasp demo`"):
        maker.make("episodes/raw", "s1", lambda work: Made())
    assert maker.make("episodes/raw", "s1", lambda work: Made()).asset == "episodes/raw"


@pytest.mark.parametrize(
    "wrong",
    [["--task", "tubee"], ["--session", "A b"], ["--cameras", "roof"], ["--policy", "."]],
    ids=lambda w: str(w[0]),
)
def test_a_refused_collect_leaves_no_workspace(
    tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "new", "collect", "--episodes", "1", *wrong) != 0
    assert capsys.readouterr().err.strip().splitlines() != []
    assert not (tmp_path / "new").exists()


def test_a_task_that_is_none_is_not_deployed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "deploy", "--task", "tubee") == 2
    assert "there is no task 'tubee'; choose one of " in capsys.readouterr().err


def test_a_freeze_of_nothing_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "audit", "freeze", "labels", "empty") == 0
    assert "nothing is decided about labels" in capsys.readouterr().out


def test_somebody_must_drive(root: Path) -> None:
    assert run(root, "collect", "--teleop", "none") == 2


def test_what_is_not_foreseen_is_one_line_unless_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: object, root: Path) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(cli.Inspect, "run", broken)
    assert run(root, "inspect") == 1
    assert capsys.readouterr().err == "unexpected: a bug; run it again with --debug to see where\n"
    assert run(root, "inspect", "--debug") == 1
    assert "ZeroDivisionError: a bug" in capsys.readouterr().err


def test_an_interrupt_is_130(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object, root: Path) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Inspect, "run", interrupted)
    assert run(root, "inspect") == 130


@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
def test_a_kill_is_a_ctrl_c_also_in_the_background_where_that_is_ignored(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ctrl_c: Any
) -> None:
    def killed(self: object, root: Path) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(cli.Inspect, "run", killed)
    before = signal.signal(signal.SIGINT, ctrl_c), signal.getsignal(signal.SIGTERM)
    try:
        assert run(root, "inspect") == 130
    finally:
        signal.signal(signal.SIGINT, before[0])
    assert capsys.readouterr().err == "interrupted; the same command goes on where it stopped\n"
    assert signal.getsignal(signal.SIGTERM) is before[1]


def test_an_interrupted_materialization_is_130_and_goes_on_later(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import dagster as dg

    from assets import episodes

    def interrupted(episode: object) -> None:
        raise dg.DagsterExecutionInterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(episodes, "validate", interrupted)
        assert run(root, "materialize", "episodes/validated") == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (root / "derived/episodes/validated/s1").exists()
    assert run(root, "materialize", "episodes/validated") == 0
    assert "1 made" in capsys.readouterr().out


def test_a_ctrl_c_that_dagster_held_back_until_its_run_had_succeeded_still_counts() -> None:
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        with pytest.raises(KeyboardInterrupt), _pressed_is_an_interrupt():
            signal.raise_signal(signal.SIGINT)
        with _pressed_is_an_interrupt():
            pass
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_damaged_recording_is_named_and_stops_its_task_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    episode_id = EpisodeStore(root).write(make_episode(5, success=True, session="torn", task="torn"))
    EpisodeStore(root).write(make_episode(6, success=True, session="torn", task="torn"))
    path = root / "episodes" / "torn" / f"{episode_id}.h5"
    path.write_bytes(path.read_bytes()[:500])
    assert run(root, "materialize", "episodes/split") == 4
    captured = capsys.readouterr()
    assert episode_id in captured.err
    assert (root / "derived/episodes/split/insert/manifest.json").exists()
