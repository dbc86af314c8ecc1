"""The log on a real PostgreSQL server, started for the test; skipped where no server is installed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

import pytest
from synthetic import make_episode

from audits.freeze import freeze, load
from audits.leases import Leases
from audits.log import AuditLog
from audits.state import fold
from episodes.errors import Conflict, DataRefused, IntegrityError
from episodes.store import EpisodeStore
from pipelines.cli import main

_FOUND = sorted(glob("/usr/lib/postgresql/*/bin/initdb")) or [shutil.which("initdb") or ""]
_BIN = Path(_FOUND[-1]).parent
pytestmark = pytest.mark.skipif(not _FOUND[-1], reason="no PostgreSQL server (initdb) is installed")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    place = Path(tempfile.mkdtemp(prefix="regrasp-postgres-"))  # pytest closes its own folders to other users
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        as_postgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        shutil.chown(place, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def server(*command: str) -> None:
        subprocess.run([*as_postgres, str(_BIN / command[0]), *command[1:]], check=True, cwd="/", capture_output=True)

    data, options = str(place / "data"), f"-p {port} -k {place} -c listen_addresses=127.0.0.1 -c fsync=off"
    server("initdb", "-D", data, "-A", "trust", "-U", "app", "--no-sync")
    server("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(place / "log"), "start")
    yield f"postgresql://app:secret@127.0.0.1:{port}/postgres"
    server("pg_ctl", "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(place)


def test_the_log_on_postgres(url: str) -> None:
    logs = [AuditLog(url), AuditLog(url)]

    def write(index: int) -> int:
        value = {"text": "näh\x00"}
        return logs[index % 2].append("episode.note", f"e{index}", by="ada", value=value, shown={}, seconds=0).seq

    with ThreadPoolExecutor(6) as pool:
        seqs = list(pool.map(write, range(60)))
    log = logs[0]
    assert sorted(seqs) == list(range(1, 61))
    assert log.verify(head=log.head()) == 60
    assert len(fold(log.events()).episodes) == 60
    made = freeze(log, "episodes", "first", by="ada")
    log.undo(1, by="bo")
    assert load(log, "episodes", "first") == made
    assert len(fold(log.events()).episodes) == 59
    with pytest.raises(Conflict, match="ada decided about e7"):
        log.append("episode.note", "e7", by="bo", value={"text": "x"}, shown={}, seconds=0, unchanged_since=0)
    leases = Leases(log.database)
    assert leases.take("e7", "bo").by == Leases(logs[1].database).take("e7", "cy").by == "bo"
    assert set(leases.held()) == {"e7"}

    import sqlalchemy as sa

    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE events SET body = replace(body, 'ada', 'eve') WHERE seq = 7"))
    engine.dispose()
    with pytest.raises(IntegrityError, match="event 7 "):
        log.verify()
    for each in logs:
        each.close()


def test_a_workspace_decides_on_the_server_that_its_environment_names(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> int:
        return main(["audit", *arguments, "--root", str(tmp_path)])

    monkeypatch.setenv("REGRASP_AUDITS", f"{url.rpartition('/')[0]}/template1")
    EpisodeStore(tmp_path).write(make_episode(1, success=True))
    assert run("verify", "--json") == 0
    assert json.loads(capsys.readouterr().out)["decisions"] == 0
    assert run("export", str(tmp_path / "log.jsonl")) == 2, "reading begins no log"
    assert run("freeze", "episodes", "first", "--by", "ada") == 0
    assert run("export", str(tmp_path / "log.jsonl")) == 0
    assert not (tmp_path / "audits.sqlite").exists()
    monkeypatch.delenv("REGRASP_AUDITS")
    assert run("import", str(tmp_path / "log.jsonl")) == 0
    assert run("verify") == 0


def test_a_server_that_is_gone_is_one_sentence_without_the_password() -> None:
    with pytest.raises(DataRefused, match="cannot be used") as caught:
        AuditLog("postgresql://app:secret@127.0.0.1:1/labels")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
