"""Tables under a mapping: real trials, every way a table is written and cut into episodes, and tables that are none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.errors import EpisodeFormatError, UsageError
from episodes.formats import ImportReport, import_dataset
from episodes.formats.mapping import TableMapping
from episodes.formats.source import read_mapping
from episodes.formats.tables import text
from episodes.formats.tables.parquet import ParquetRows
from episodes.formats.tables.source import Columns
from episodes.formats.tables.text import TextRows
from episodes.record import Episode, Outcome
from episodes.store import EpisodeStore

BAXTER = Path(__file__).parent / "data" / "baxter_introspection_csv"
MINIMAL = {"fields": {"time": {"from": "t", "unit": "s"}, "executed_action": ["a", "b"]}}


def table(tmp_path: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = tmp_path / "lab" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path.parent


def imported(source: Path, root: Path, mapping: Any, **more: Any) -> tuple[ImportReport, list[Episode]]:
    report = import_dataset(source, root, mapping=mapping, **more)
    assert not report.quarantined, report.quarantined
    return report, [EpisodeStore(root).read(found) for found in report.imported]


def refusal(source: Path, root: Path, mapping: Any = MINIMAL, **more: Any) -> str:
    (refused,) = import_dataset(source, root, mapping=mapping, **more).quarantined
    assert refused.remedy
    return str(refused)


# --- real trials -----------------------------------------------------------------------------------------------------


def test_real_trials_come_in_with_units_and_outcome_as_said(tmp_path: Path) -> None:
    report, (first, second) = imported(BAXTER, tmp_path, BAXTER / "mapping.toml")
    assert (len(first), len(second)) == (40, 40)
    assert (first.fps, first.time_derivation) == (10, "recorded")
    assert (first.success, first.success_derivation) == (Outcome.FAILURE, "import mapping")
    assert first.wrench is not None
    np.testing.assert_allclose(first.wrench[0], [0.0590, -2.2080, -1.3390, 0.0994, 0.1302, 0.0622], atol=1e-4)
    assert (first.ee_pose, first.executed_action) == (None, None)
    assert first.proprio_units[0] == "m/s"
    assert "not read: 4 pickles beside the tables, which can run code" in report.warnings
    assert not any("guess" in warning for warning in report.warnings)


def test_a_table_without_a_mapping_names_its_columns(tmp_path: Path) -> None:
    with pytest.raises(EpisodeFormatError, match=r"does not say what its columns mean; they are '', .*--mapping"):
        import_dataset(BAXTER, tmp_path)


# --- how a table is written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("t,a,b\n0,1.5,2\n0.5,-3,4\n", {}),
        ("\ufefft,a,b\r\n0,1.5,2\r\n0.5,-3,4\r\n", {}),
        ('"t","a","b"\n0,"1.5",2\n0.5,-3,4', {}),
        ("t;a;b\n0;1,5;2\n0,5;-3;4\n", {"separator": ";", "decimal": ","}),
        ("# made by hand\n\nt a b\n0 1.5 2\n0.5 -3 4\n", {"separator": " ", "skip": 2}),
        ("Größe,t,a,b\nx,0,1.5,2\ny,0.5,-3,4\n".encode("latin-1"), {"encoding": "latin-1"}),
    ],
)
def test_every_way_of_writing_gives_the_same_numbers(tmp_path: Path, text: Any, said: dict[str, Any]) -> None:
    _, (episode,) = imported(table(tmp_path, text), tmp_path / "w", MINIMAL | {"table": said})
    assert episode.executed_action is not None
    assert (episode.executed_action.tolist(), episode.time_s.tolist()) == ([[1.5, 2], [-3, 4]], [0, 0.5])
    assert episode.action_space == {"names": ["a", "b"]}


def test_a_table_without_names_has_numbered_columns(tmp_path: Path) -> None:
    mapping = {"fields": {"executed_action": ["1", "0"]}, "table": {"header": False}}
    _, (episode,) = imported(table(tmp_path, "1,2\n3,4\n"), tmp_path / "w", mapping, fps=10)
    assert episode.executed_action is not None
    assert episode.executed_action.tolist() == [[2, 1], [4, 3]]


def test_flags_labels_and_texts_have_their_meaning(tmp_path: Path) -> None:
    text = "t,a,b,human_intervene,result,say\n0,1,2,false,,push\n1,1,2,true,jam,push\n"
    fields = MINIMAL["fields"] | {"success": {"from": "result", "values": {"jam": "failure"}}, "instruction": "say"}
    _, (episode,) = imported(table(tmp_path, text), tmp_path / "w", {"fields": fields})
    assert (episode.action_source.tolist(), episode.collection) == ([0, 2], "takeover")
    assert (episode.success, episode.instruction) == (Outcome.FAILURE, "push")


def test_labels_without_a_meaning_and_meanings_without_a_label_are_told(tmp_path: Path) -> None:
    source = table(tmp_path, "run,t,a,b,result\n" + "".join(f"{n},0,{n},2,{w}\n" for n, w in enumerate("jkkl")))
    success = {"from": "result", "values": {"j": "failure", "fine": "success"}}
    mapping = {"fields": MINIMAL["fields"] | {"success": success}, "table": {"episode": "run"}}
    report, episodes = imported(source, tmp_path / "w", mapping)
    assert [episode.success.value for episode in episodes] == ["failure", "unknown", "unknown", "unknown"]
    strange, unseen = (told for told in report.warnings if "result ends" in told)
    assert "result ends with 'k' (2 of 4 episodes), 'l' (1 of 4 episodes), which" in strange
    assert "result ends no episode with 'fine';" in unseen


def test_a_guess_is_reported_as_one_and_a_stated_scale_is_none(tmp_path: Path) -> None:
    source = table(tmp_path, "t,a,b,f/10.0,autonomous\n0,1,2,3,1\n1,1,2,4,0\n")
    fields = MINIMAL["fields"] | {"proprio": "f/10.0"}
    report, (episode,) = imported(source, tmp_path / "w", {"fields": fields})
    assert episode.proprio is not None
    assert (episode.proprio.tolist(), episode.action_source.tolist()) == ([[30], [40]], [0, 2])
    assert sum("guess" in warning for warning in report.warnings) == 2
    said = fields | {
        "proprio": {"from": "f/10.0", "scale": 1},
        "intervention": {"from": "autonomous", "true": "policy"},
    }
    report, (episode,) = imported(source, tmp_path / "v", {"fields": said})
    assert episode.proprio is not None
    assert (episode.proprio.tolist(), episode.action_source.tolist()) == ([[3], [4]], [0, 2])
    assert not any("guess" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("stamps", "unit"),
    [
        (["1526716017390000001", "1526716017490000001"], "ns"),
        (["1526716017390", "1526716017490"], "ms"),
        (["2018-05-19 07:46:57.390", "2018-05-19 07:46:57.490"], "s"),
    ],
)
def test_stamps_of_any_unit_and_dates(tmp_path: Path, stamps: list[str], unit: str) -> None:
    text = "t,a,b\n" + "".join(f"{stamp},1,2\n" for stamp in stamps)
    fields = MINIMAL["fields"] | {"time": {"from": "t", "unit": unit}}
    _, (episode,) = imported(table(tmp_path, text), tmp_path / "w", {"fields": fields})
    np.testing.assert_allclose(episode.time_s, [0, 0.1], atol=1e-9)


# --- how a table is cut ----------------------------------------------------------------------------------------------


def test_a_column_parts_the_episodes_of_a_file(tmp_path: Path) -> None:
    text = 'run,t,a,b\nx,0,1,2\nx,1,3,4\n"y, z",0,5,6\n'
    report, episodes = imported(table(tmp_path, text), tmp_path / "w", MINIMAL | {"table": {"episode": "run"}})
    assert [len(episode) for episode in episodes] == [2, 1]
    assert episodes[1].source_uri == "lab/a.csv#y, z"
    assert not any("not kept" in warning for warning in report.warnings)
    split = table(tmp_path / "w", "run,t,a,b\nx,0,1,2\ny,0,1,2\nx,1,1,2\n")
    assert "the rows of run x are not together" in refusal(
        split, tmp_path / "v", MINIMAL | {"table": {"episode": "run"}}
    )


def test_empty_lines_part_labelled_blocks(tmp_path: Path) -> None:
    text = "normal\n\t1\t2\n\t3\t4\n\n\nslipped off\n\t5\t6"
    fields = {"executed_action": ["1", "2"], "success": {"from": "label", "values": {"normal": "success"}}}
    said = {"separator": "\t", "header": False, "blocks": True, "files": "*.data"}
    source = table(tmp_path, text, "a.data")
    _, episodes = imported(source, tmp_path / "w", {"fields": fields, "table": said}, fps=10)
    assert [(len(e), e.success.value, e.events[0]["text"]) for e in episodes] == [
        (2, "success", "normal"),
        (1, "unknown", "slipped off"),
    ]
    assert episodes[1].executed_action is not None
    assert episodes[1].executed_action.tolist() == [[5, 6]]


def parquet(tmp_path: Path, columns: dict[str, Any], rows: int = 2) -> Path:
    (tmp_path / "lab").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "lab" / "a.parquet", row_group_size=rows)
    return tmp_path / "lab"


def test_parquet_comes_in_row_group_by_row_group(tmp_path: Path) -> None:
    columns = {
        "run": pa.array(list("xxxyyz")).dictionary_encode(),
        "t": [0.0, 1, 2, 0, 1, 0],
        "v": pa.array([[n, 2.0 * n] for n in range(6)], pa.list_(pa.float32(), 2)),
        "human_intervene": [True, None, False, True, True, False],
    }
    mapping = {
        "fields": {"time": {"from": "t", "unit": "s"}, "executed_action": "v"},
        "table": {"episode": "run"},
    }
    _, episodes = imported(parquet(tmp_path, columns), tmp_path / "w", mapping)
    assert [len(episode) for episode in episodes] == [3, 2, 1]
    found = np.concatenate([episode.executed_action for episode in episodes if episode.executed_action is not None])
    assert found[:, 1].tolist() == [0, 2, 4, 6, 8, 10]
    assert episodes[0].action_source.tolist() == [2, 255, 0]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(1, 4))
def test_any_cut_into_row_groups_gives_the_same_episodes(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], rows: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.parquet"
    runs = np.repeat(np.arange(len(lengths)), lengths)
    pq.write_table(pa.table({"run": runs, "n": np.arange(len(runs))}), path, row_group_size=rows)
    (text := path.with_suffix(".csv")).write_text("run,n\n" + "".join(f"{run},{n}\n" for n, run in enumerate(runs)))
    for kind, file in ((ParquetRows, path), (TextRows, text)):
        table = kind(file, TableMapping(episode="run"))
        found = [table.read(span)["n"].to_pylist() for span in table.spans]
        assert found == [list(part) for part in np.split(np.arange(len(runs)), np.cumsum(lengths)[:-1])]


# --- tables that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("t,a,b\n0,1,x\n", "column 'b' has 'x' in row 0 where a number is meant"),
        ("t,a,b\n0,1,2\n1,2\n", "Expected 3 columns, got 2"),
        ("t,a\n0,1\n", "there is no column 'b'"),
        ("t,a,b,b\n0,1,2,3\n", "there are 2 columns 'b'"),
        ("t,a,b\n0,1,2\n0,1,2\n", "stands still, is missing or goes back at row 1"),
        ("t,a,b\n1,1,2\n,1,2\n", "stands still, is missing or goes back at row 1"),
        ("t,a,b\n0,1,\n1,1,2\n", "nan_in_executed_action"),
        ("t,a,b\n0,1,inf\n", "nan_in_executed_action"),
        ("t,a,b\n", "there are no rows in it"),
        ("", "there are no rows in it"),
        (
            b"t,a,b\n0,1,\xff\n",
            "has '\ufffd' in row 0 where a number is meant (a.csv, episode a.csv); mend it, or say decimal, ",
        ),
        (b"\xff\xfet,a,b\n", "the text is not utf-8"),
        ('t,a,b\n0,1,"2\n', "a number is meant"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, text: Any, says: str) -> None:
    table(tmp_path, "t,a,b\n0,7,7\n", "good.csv")
    report = import_dataset(table(tmp_path, text), tmp_path / "w", mapping=MINIMAL)
    assert len(report.imported) == 1
    assert says in str(report.quarantined[0])


def test_without_any_time_the_rate_is_asked_for(tmp_path: Path) -> None:
    source = table(tmp_path, "a\n1\n2\n")
    with pytest.raises(EpisodeFormatError, match=r"nothing says when .* fields\.time in the mapping, or the rate with"):
        import_dataset(source, tmp_path / "w", mapping={"fields": {"reward": "a"}})


def test_a_cut_off_parquet_file_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"t": [0.0], "a": [1.0], "b": [1.0]}) / "a.parquet"
    path.write_bytes(path.read_bytes()[:-8])
    assert "it is no Parquet file" in refusal(path, tmp_path / "w")


def test_an_empty_parquet_file_is_refused_beside_a_good_one(tmp_path: Path) -> None:
    source = parquet(tmp_path, {"t": [0.0], "a": [1.0], "b": [1.0]})
    pq.write_table(pq.read_table(source / "a.parquet").slice(0, 0), source / "empty.parquet")
    report = import_dataset(source, tmp_path / "w", mapping=MINIMAL)
    assert len(report.imported) == 1
    assert "there are no rows in it" in str(report.quarantined[0])


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([{"x": 1}, {"x": 2}]),
        pa.array([1, 2], pa.time32("s")),
        pa.array([[("x", 1)], []], pa.map_(pa.string(), pa.int64())),
        pa.array([1, 2], pa.date32()),
        pa.array([1, None], pa.timestamp("ns")),
        pa.array([1, 2], pa.duration("ms")),
    ],
)
def test_a_column_of_no_numbers_is_refused_and_stops_no_other_file(tmp_path: Path, odd: pa.Array) -> None:
    source = parquet(tmp_path, {"t": [0.0, 1.0], "a": [1.0, 2.0], "b": odd})
    table(tmp_path, "t,a,b\n0,7,7\n", "good.csv")
    report = import_dataset(source, tmp_path / "w", mapping=MINIMAL)
    assert len(report.imported) == 1
    assert "column 'b' holds" in str(report.quarantined[0])


def test_durations_are_stamps(tmp_path: Path) -> None:
    source = parquet(tmp_path, {"t": pa.array([500, 600], pa.duration("ms")), "a": [1.0, 2.0], "b": [1.0, 2.0]})
    _, (episode,) = imported(source, tmp_path / "w", MINIMAL)
    np.testing.assert_allclose(episode.time_s, [0, 0.1])


def test_only_the_last_file_of_a_dataset_stays_in_memory(tmp_path: Path) -> None:
    source = parquet(tmp_path, {"t": np.arange(50_000.0), "a": np.ones(50_000), "b": np.ones(50_000)}, 50_000)
    for name in "bcd":
        shutil.copy(source / "a.parquet", source / f"{name}.parquet")
    opened = Columns(source, read_mapping(MINIMAL), None)
    before = pa.total_allocated_bytes()
    for name in opened.names:
        opened.read(name)
    assert pa.total_allocated_bytes() - before < 2 * 3 * 8 * 50_000


def test_a_column_that_the_outcome_was_read_from_is_kept(tmp_path: Path) -> None:
    report, (episode,) = imported(table(tmp_path, "t,a,b,success,c\n0,1,2,1,3\n"), tmp_path / "w", MINIMAL)
    assert episode.success is Outcome.SUCCESS
    assert "not kept: columns 'c'" in report.warnings


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LONGEST_LINE", 64)
    says = refusal(table(tmp_path, "t,a,b\n" + "0" * 200), tmp_path / "w", MINIMAL | {"table": {"episode": "t"}})
    assert "a line has more than 64 bytes" in says


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = Columns(table(tmp_path, "t,a,b\n0,1,2\n"), read_mapping(MINIMAL), None)
    os.utime(tmp_path / "lab" / "a.csv", (1, 1))
    with pytest.raises(EpisodeFormatError, match="changed while it was read"):
        source.read("a.csv")


def test_a_link_out_of_the_dataset_is_refused(tmp_path: Path) -> None:
    source = table(tmp_path, "t,a,b\n0,1,2\n")
    shutil.move(source / "a.csv", tmp_path / "a.csv")
    (source / "a.csv").symlink_to(tmp_path / "a.csv")
    assert "leads out of the dataset" in refusal(source, tmp_path / "w")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("[fields\n", "no TOML"),
        ("[fields.wrench]\nfrom = []\n", "fields.wrench.from"),
        ("[fields.wrench]\nfrom = 'a'\nscale = 0\n", "would wipe the numbers out"),
        ("[table]\ndecimal = '!'\n", "table.decimal"),
        ("[table]\nencoding = 'utf-16'\n", "cannot be read line by line"),
        ("[table]\nencoding = 'no-such'\n", "there is no encoding"),
        ("[fields]\nwrnch = 'a'\n", "fields.wrnch"),
    ],
)
def test_a_wrong_mapping_file_names_its_entry(tmp_path: Path, written: str, says: str) -> None:
    (tmp_path / "m.toml").write_text(written)
    with pytest.raises(UsageError, match=says.replace(".", r"\.")):
        import_dataset(BAXTER, tmp_path / "w", mapping=tmp_path / "m.toml")
