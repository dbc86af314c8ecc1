"""Pickles of HIL-SERL and of UniIntervene's authors become the episodes they hold, with nothing invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transition_samples import authors_episode, hil_serl, observation, trajectory, write

from episodes.errors import EpisodeFormatError
from episodes.formats import ImportReport, import_dataset
from episodes.images import decode
from episodes.record import ActionSource, Array, Episode, Outcome
from episodes.store import EpisodeStore
from pipelines.cli import main

P, H, HOLD, UNKNOWN = ActionSource.POLICY, ActionSource.HUMAN, ActionSource.HOLD, ActionSource.UNKNOWN


def taken(source: Path, root: Path, **how: object) -> tuple[ImportReport, list[Episode]]:
    report = import_dataset(source, root, allow_pickle=True, **{"task": "ram", **how})  # type: ignore[arg-type]
    store = EpisodeStore(root)
    return report, [store.read(name) for name in report.imported]


def frame(episode: Episode, t: int) -> Array:
    return decode(episode.images["wrist_1"].frame(t), "png")


def test_without_the_flag_no_pickle_is_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, _ = hil_serl(tmp_path / "run")
    for path in (source, source / "buffer/transitions_5.pkl"):
        with pytest.raises(EpisodeFormatError, match="a pickle can run code when it is opened, so none was"):
            import_dataset(path, tmp_path / "w", task="ram")
    assert main(["import", str(source), "--task", "ram", "--root", str(tmp_path / "w")]) == 3
    assert "--allow-pickle" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
    assert main(["import", str(source), "--task", "ram", "--allow-pickle", "--root", str(tmp_path / "w")]) == 0


def test_hil_serl_dumps_are_cut_into_episodes_across_files(tmp_path: Path) -> None:
    source, human = hil_serl(tmp_path / "run")
    report, episodes = taken(source, tmp_path / "w")
    assert report.quarantined == ()
    assert [len(episode) for episode in episodes] == [4, 5, 3, 2]
    assert [episode.complete for episode in episodes] == [True, True, True, False]
    for episode, flags in zip(episodes, human, strict=True):
        np.testing.assert_array_equal(episode.action_source, np.where(flags, H, P))
    assert [episode.collection for episode in episodes] == ["unknown", "takeover", "takeover", "unknown"]
    assert [episode.success for episode in episodes] == [Outcome.UNKNOWN] * 4
    assert [episode.reward[-1] for episode in episodes if episode.reward is not None] == [1, 0, 1, 0]
    names = [episode.source_uri for episode in episodes]
    files = ("5.pkl#0", "5.pkl#1", "10.pkl#0", "100.pkl#0")
    assert names == [f"run/buffer/transitions_{file}" for file in files]


def test_arrays_are_those_of_the_pickle(tmp_path: Path) -> None:
    steps = trajectory(7, 6)
    report, (episode,) = taken(write(tmp_path / "demo.pkl", steps), tmp_path / "w")
    assert episode.executed_action is not None
    assert episode.proprio is not None
    np.testing.assert_array_equal(episode.executed_action, [step["actions"] for step in steps])
    state = np.stack([step["observations"]["state"][0] for step in steps])
    np.testing.assert_array_equal(episode.proprio, state.astype(np.float32))
    assert episode.proprio_names == tuple(f"state.{i}" for i in range(11))
    assert sorted(episode.images) == ["side_policy_256", "wrist_1"]
    for t, step in enumerate(steps):
        np.testing.assert_array_equal(
            decode(episode.images["wrist_1"].frame(t), "png"), step["observations"]["wrist_1"][0]
        )
    assert (episode.fps, episode.time_derivation) == (10, "assumed rate")
    assert set(episode.action_source) == {UNKNOWN}
    assert {warning.split(":")[0].split(" (")[0] for warning in report.warnings} >= {"time", "outcome", "actor"}


def test_demonstrations_say_when_the_person_moved_and_that_it_succeeded(tmp_path: Path) -> None:
    steps = trajectory(3, 4)
    for t, step in enumerate(steps):
        step["infos"] = {"left": False, "right": False, "succeed": t == 3}
        if t in (1, 2):
            step["infos"]["intervene_action"] = step["actions"]
    steps[0]["actions"] = np.zeros(7, np.float32)
    _, (episode,) = taken(write(tmp_path / "ram_20_demos.pkl", steps), tmp_path / "w")
    assert episode.action_source.tolist() == [HOLD, H, H, P]
    assert (episode.collection, episode.success) == ("demo", Outcome.SUCCESS)
    assert episode.success_derivation == "field infos/succeed of the source"
    assert episode.human_action is not None
    assert np.isnan(episode.human_action).all(axis=1).tolist() == [True, False, False, True]


def test_the_authors_files_are_one_episode_each(tmp_path: Path) -> None:
    first = authors_episode(1, 5, success=True)
    for t, step in enumerate(first):
        step.update(raw_value=t - 4, raw_norm=t / 4, labels=2 if t >= 3 else 0, dones=t == 1)
    write(tmp_path / "raw/transitions_0.pkl", first)
    write(tmp_path / "raw/transitions_1.pkl", authors_episode(2, 3, success=False, intervened=False))
    report, (one, two) = taken(tmp_path / "raw", tmp_path / "w", task=None)
    assert report.quarantined == ()
    assert (one.task, len(one), len(two)) == ("fold_the_towel", 5, 3)
    assert (one.success, two.success, one.complete, two.complete) == (Outcome.SUCCESS, Outcome.FAILURE, True, True)
    assert one.success_derivation == "field success of the source"
    assert one.action_source.tolist() == [P, P, P, H, H]
    assert set(two.action_source) == {P}
    assert sorted(one.images) == ["external", "wrist"]
    assert any("guess from its name that intervened" in warning for warning in report.warnings)


def test_the_mapping_says_what_rewards_mean_and_where_the_pose_is(tmp_path: Path) -> None:
    source, _ = hil_serl(tmp_path / "run")
    pose = {
        "from": [f"observations/state.{i}" for i in range(5, 11)],
        "unit": ["m", "rad"],
        "rotation": "rotation_vector",
    }
    said = {
        "fields": {"success": "rewards", "ee_pose": pose},
        "cameras": {"wrist_1": "wrist", "side_policy_256": "third"},
    }
    _, episodes = taken(source, tmp_path / "w", mapping=said)
    assert [episode.success.value for episode in episodes] == ["success", "unknown", "success", "unknown"]
    assert sorted(episodes[0].images) == ["third", "wrist"]
    assert episodes[0].ee_pose is not None
    assert episodes[0].proprio is not None
    np.testing.assert_allclose(episodes[0].ee_pose[:, :3], episodes[0].proprio[:, 5:8], rtol=1e-6)
    report, _ = taken(source, tmp_path / "v", mapping={"fields": {"success": "returns"}})
    assert "there is no returns among actions, dones" in str(report.quarantined[0])


def test_the_copies_alone_are_no_episodes(tmp_path: Path) -> None:
    source, _ = hil_serl(tmp_path / "run")
    with pytest.raises(EpisodeFormatError, match="cut out of their episodes"):
        taken(source / "demo_buffer", tmp_path / "w")


def test_without_the_copies_nobody_knows_who_acted(tmp_path: Path) -> None:
    source, _ = hil_serl(tmp_path / "run")
    _, episodes = taken(source / "buffer", tmp_path / "w")
    assert {int(code) for episode in episodes for code in episode.action_source} == {UNKNOWN}


def test_a_stack_of_observations_counts_as_its_newest(tmp_path: Path) -> None:
    steps = trajectory(5, 3, lead=(2,))
    _, (episode,) = taken(write(tmp_path / "x.pkl", steps), tmp_path / "w")
    assert episode.proprio is not None
    np.testing.assert_array_equal(episode.proprio[1], steps[1]["observations"]["state"][-1].astype(np.float32))
    np.testing.assert_array_equal(
        decode(episode.images["wrist_1"].frame(2), "png"), steps[2]["observations"]["wrist_1"][-1]
    )


def test_a_bad_file_is_put_aside_and_the_others_come_in(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    write(root / "transitions_0.pkl", trajectory(1, 3))
    (root / "transitions_1.pkl").write_bytes((root / "transitions_0.pkl").read_bytes()[:700])
    write(root / "transitions_2.pkl", [])
    odd = {"observations": {"wrist": np.zeros((4, 4), np.uint8)}, "actions": "none", "dones": True}
    write(root / "transitions_3.pkl", [odd])
    ragged = trajectory(2, 3)
    ragged[1]["actions"] = np.zeros(6)
    write(root / "transitions_4.pkl", ragged)
    grey = trajectory(3, 2)
    grey[1]["observations"] = {**observation(1), "wrist_1": np.zeros((1, 8, 12, 1), np.uint8)}
    grey[0].pop("next_observations")
    write(root / "transitions_5.pkl", grey)
    (root / "transitions_6.pkl").symlink_to(tmp_path / "elsewhere.pkl")
    write(tmp_path / "elsewhere.pkl", trajectory(4, 2))
    report, episodes = taken(root, tmp_path / "w")
    assert [len(episode) for episode in episodes] == [3]
    said = [str(error) for error in report.quarantined]
    expected = (
        "it is damaged",
        "holds no transitions",
        "is text where numbers belong",
        "6 numbers at one step and 7",
        "a picture is of shape",
        "leads out of the dataset",
    )
    assert [part for part, text in zip(expected, said, strict=True) if part not in text] == []


def test_the_same_dump_again_adds_nothing(tmp_path: Path) -> None:
    source, _ = hil_serl(tmp_path / "run")
    report, _ = taken(source, tmp_path / "w")
    again, _ = taken(source, tmp_path / "w")
    assert (again.imported, again.duplicates) == ((), report.imported)
