"""Recovery memory: exact retrieval with its filters, and a file that shows every changed byte."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.errors import DataRefused, IntegrityError, UsageError
from models.memory import ARRAYS, MANIFEST, MemoryItem, RecoveryMemory

SIZE = 6


def item(i, *, task="tube", episode="e0", key=None, goal_value=0.9):
    rng = np.random.default_rng(i)
    return MemoryItem(
        task=task,
        episode_id=episode,
        t=i,
        goal_t=i + 20,
        key=rng.normal(size=SIZE) if key is None else np.asarray(key),
        goal=rng.normal(size=SIZE),
        value=0.3,
        goal_value=goal_value,
        chunk=rng.normal(size=(8, 7)),
    )


def steps(found):
    return [r.item.t for r in found]


def memory_of(count=30):
    values = np.linspace(0.5, 1, count)
    return RecoveryMemory.build([item(i, episode=f"e{i % 5}", goal_value=values[i]) for i in range(count)], "enc")


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.sampled_from([None, "e0", "e3", "absent"]),
    st.sampled_from([None, 0.6, 0.95, 2.0]),
    st.sampled_from([None, -1.0, 0.0, 0.7]),
    st.sets(st.integers(0, 29), max_size=5),
)
def test_retrieval_is_the_sorted_list_of_what_is_allowed(seed, k, exclude, min_value, min_similarity, removed):
    memory = memory_of()
    memory = memory.without(memory.items[i].item_id for i in removed)
    query = np.random.default_rng(seed).normal(size=SIZE)
    expected = []
    for i, candidate in enumerate(memory.items):
        cosine = float(query @ candidate.key / np.linalg.norm(query) / np.linalg.norm(candidate.key.astype(float)))
        allowed = i not in removed and candidate.episode_id != exclude
        allowed &= min_value is None or candidate.goal_value >= min_value
        allowed &= min_similarity is None or cosine >= min_similarity
        if allowed:
            expected.append((-cosine, candidate.t))
    found = memory.retrieve(
        query, k, "tube", exclude_episode=exclude, min_value=min_value, min_similarity=min_similarity
    )
    assert steps(found) == [t for _, t in sorted(expected)[:k]]
    np.testing.assert_allclose([r.similarity for r in found], [-c for c, _ in sorted(expected)[:k]], atol=1e-5)


def test_query_finds_its_own_state_first_and_scale_does_not_matter():
    memory = memory_of()
    best = memory.retrieve(1000 * memory.items[7].key, 1, "tube")[0]
    assert best.item.t == 7
    assert best.similarity == pytest.approx(1, abs=1e-6)


def test_leave_one_episode_out():
    memory = memory_of()
    found = memory.retrieve(memory.items[7].key, 30, "tube", exclude_episode="e2")
    assert len(found) == 24
    assert "e2" not in {r.item.episode_id for r in found}


def test_tasks_are_apart_and_an_unknown_one_is_empty():
    memory = RecoveryMemory.build([item(0), item(1, task="ram")], "enc")
    assert steps(memory.retrieve(np.ones(SIZE), 5, "ram")) == [1]
    assert memory.retrieve(np.ones(SIZE), 5, "wipe") == []
    assert RecoveryMemory.build([], "enc").retrieve(np.ones(SIZE), 5, "tube") == []


def test_ties_come_in_the_order_of_building_however_many_are_asked():
    memory = RecoveryMemory.build([item(i, key=np.ones(SIZE)) for i in range(20)], "enc")
    for k in (1, 5, 20, 50):
        assert steps(memory.retrieve(np.ones(SIZE), k, "tube")) == list(range(min(k, 20)))


def test_limits_include_their_value():
    memory = RecoveryMemory.build([item(0, key=np.eye(SIZE)[0], goal_value=0.5)], "enc")
    query = np.eye(SIZE)[0]
    assert memory.retrieve(query, 1, "tube", min_value=0.5, min_similarity=1.0)
    assert not memory.retrieve(query, 1, "tube", min_value=0.51)


def test_items_cannot_be_changed_from_outside():
    key = np.ones(SIZE)
    memory = RecoveryMemory.build([item(0, key=key)], "enc")
    key[:] = -1
    assert memory.retrieve(np.ones(SIZE), 1, "tube")[0].similarity == pytest.approx(1)
    with pytest.raises(ValueError, match="read-only"):
        memory.items[0].key[0] = 5


def test_round_trip_keeps_items_and_tombstones(tmp_path):
    memory = memory_of().without([memory_of().items[3].item_id, "gone:1>gone:2"])
    memory.save(tmp_path / "m")
    loaded = RecoveryMemory.load(tmp_path / "m", "enc")
    assert len(loaded) == 30
    assert loaded.removed == memory.removed
    for a, b in zip(memory.items, loaded.items, strict=True):
        for field in dataclasses.fields(MemoryItem):
            np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))
    query = memory.items[3].key
    found = loaded.retrieve(query, 30, "tube")
    assert steps(found) == steps(memory.retrieve(query, 30, "tube"))
    assert 3 not in steps(found)


def test_a_path_may_be_text(tmp_path):
    memory_of().save(str(tmp_path / "m"))
    assert len(RecoveryMemory.load(str(tmp_path / "m"), "enc")) == len(memory_of())


def test_same_items_are_the_same_bytes(tmp_path):
    for name in "ab":
        memory_of().save(tmp_path / name)
    for file in (ARRAYS, MANIFEST):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_empty_memory_round_trips(tmp_path):
    RecoveryMemory.build([], "enc").save(tmp_path)
    assert len(RecoveryMemory.load(tmp_path, "enc")) == 0


def test_another_encoder_is_refused(tmp_path):
    memory_of().save(tmp_path)
    with pytest.raises(IntegrityError, match="encoder enc, not other"):
        RecoveryMemory.load(tmp_path, "other")


@pytest.mark.parametrize("file", [ARRAYS, MANIFEST])
def test_every_flipped_byte_is_seen(tmp_path, file):
    RecoveryMemory.build([item(0)], "enc").save(tmp_path)
    whole = (tmp_path / file).read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        (tmp_path / file).write_bytes(damaged)
        with pytest.raises(IntegrityError):
            RecoveryMemory.load(tmp_path, "enc")


@pytest.mark.parametrize("file", [ARRAYS, MANIFEST])
def test_missing_or_cut_file_is_refused(tmp_path, file):
    memory_of(3).save(tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(IntegrityError):
        RecoveryMemory.load(tmp_path, "enc")
    path.unlink()
    with pytest.raises(IntegrityError, match="build it again"):
        RecoveryMemory.load(tmp_path, "enc")


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": np.zeros(SIZE)},
        {"key": np.full(SIZE, np.nan)},
        {"goal": np.ones((2, 3))},
        {"chunk": np.ones(8)},
        {"goal_t": 0},
        {"value": np.nan},
    ],
)
def test_item_that_cannot_help_is_refused(wrong):
    with pytest.raises(DataRefused, match="leave it out"):
        RecoveryMemory.build([dataclasses.replace(item(0), **wrong)], "enc")


def test_items_of_two_encoders_or_given_twice_are_refused():
    with pytest.raises(DataRefused, match="shapes"):
        RecoveryMemory.build([item(0), item(1, key=np.ones(SIZE + 1))], "enc")
    with pytest.raises(DataRefused, match="twice"):
        RecoveryMemory.build([item(0), item(0)], "enc")


@pytest.mark.parametrize("query", [np.zeros(SIZE), np.full(SIZE, np.nan), np.full(SIZE, np.inf), np.ones(SIZE + 1)])
def test_query_without_a_direction_is_refused(query):
    with pytest.raises(DataRefused):
        memory_of().retrieve(query, 1, "tube")


def test_k_of_nothing_is_refused():
    with pytest.raises(UsageError):
        memory_of().retrieve(np.ones(SIZE), 0, "tube")
