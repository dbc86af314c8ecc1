"""Training the value: folds without a leak, equal results for equal seeds, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import CONFIG, episodes, fitted, frames, step_data

from episodes.errors import DataRefused, UsageError
from models.dataset import StepData
from models.value import ValueConfig, ValueModel
from models.value_objectives import PublishedObjective, _Batch, _release
from models.value_training import assign_folds, fit_value, train_net


def weights(model: ValueModel) -> list[bytes]:
    return [b"".join(t.numpy().tobytes() for t in net.state_dict().values()) for net in model.nets]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["demo", "rollout"]), st.booleans()), min_size=8, max_size=40))
def test_folds_are_even_in_each_kind_and_in_all(kinds: list[tuple[str, bool]]) -> None:
    data = [replace(ANY, episode_id=f"{n}", group_id=f"{n}", collection=c, success=s) for n, (c, s) in enumerate(kinds)]
    fold_of = assign_folds(data, 4)
    for chosen in (data, *([e for e in data if (e.collection, e.success) == kind] for kind in set(kinds))):
        sizes = Counter(fold_of[e.group_id] for e in chosen)
        assert max(sizes.values()) - min(sizes[k] for k in range(4)) <= 1
    assert fold_of == assign_folds(data[::-1], 4)


ANY = step_data(0)


def test_copies_of_a_trajectory_share_a_fold() -> None:
    data = [step_data(n) for n in range(9)]
    copies = [replace(e, episode_id=f"copy {e.episode_id}") for e in data]
    assert assign_folds([*data, *copies], 4) == assign_folds(data, 4)


def test_the_net_that_judges_an_episode_does_not_know_it() -> None:
    """Whatever that episode says, its own net is the same bit for bit, and each other net is another one."""
    data, which = list(episodes()), 9
    spoilt = [replace(e, proprio=e.proprio[::-1] * 3) if i == which else e for i, e in enumerate(data)]
    before, after = weights(fitted().value), weights(fit_value(spoilt, CONFIG))
    own = fitted().value.fold_of[data[which].group_id]
    assert [k for k in range(4) if before[k] == after[k]] == [own]


def test_failures_teach_v_nothing_and_held_out_and_unknown_episodes_are_not_used_at_all() -> None:
    known = [e for e in episodes() if e.split != "test" and e.success is not None]
    other = [replace(e, proprio=e.proprio + 9) if e.success is False else e for e in known]
    assert weights(fit_value(other, CONFIG)) == weights(fitted().value)


def test_two_workers_make_the_model_that_one_makes() -> None:
    assert weights(fit_value(list(episodes()), replace(CONFIG, workers=2))) == weights(fitted().value)


def test_another_seed_makes_another_model() -> None:
    known = [e for e in episodes() if e.success]
    nets = [train_net(known, replace(CONFIG, steps=2), ("depth",), seed) for seed in (0, 0, 1)]
    first, same, other = ([p.detach() for p in net.parameters()] for net in nets)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_v_rises_along_a_held_out_success_and_stays_low_in_a_failure() -> None:
    ends = {e.success: fitted().curves[e.episode_id].value[-1] for e in episodes() if e.split == "test"}
    assert ends[True] > ends[False] + 0.2


def test_what_is_calibrated_is_calibrated_out_of_fold() -> None:
    model, curves = fitted().value, fitted().curves
    clean = [e for e in episodes() if e.group_id in model.fold_of and e.success and e.unaided]
    assert len(clean) == 18
    assert model.median_duration_s == np.median([len(e) / 10 for e in clean])
    errors = [np.abs(curves[e.episode_id].value - np.linspace(0, 1, len(e))) for e in clean]
    assert model.half_width == pytest.approx(np.quantile(np.concatenate(errors), CONFIG.coverage), abs=1e-6)
    calm = np.concatenate([curves[e.episode_id].stall_probability for e in clean])
    assert model.dead_band == pytest.approx(np.quantile(calm, 1 - CONFIG.alpha), abs=1e-6)


def test_pictures_are_learned_from_too() -> None:
    data = [replace(e, frames={"third": frames(len(e), seed=i)}) for i, e in enumerate(episodes()[:18])]
    model = fit_value(data, replace(CONFIG, cameras=("third",), image_px=16, steps=2, batch=4))
    curves = model.curves(data[0])
    assert curves.latents.shape == (1, len(data[0]), 64 + 3)
    assert model.nets[0].encoder is not None


def test_without_any_outcome_it_is_said_where_to_give_them() -> None:
    unknown = [replace(e, success=None) for e in episodes()]
    with pytest.raises(DataRefused, match=r"no episode of insert has a known outcome.*page Episodes"):
        fit_value(unknown, CONFIG)
    with pytest.raises(DataRefused, match="no episode of this task"):
        fit_value([], CONFIG)


@pytest.mark.parametrize(
    "few",
    [
        [step_data(n) for n in range(7)],
        [replace(step_data(n), group_id="one") for n in range(9)],
        [*(step_data(n) for n in range(7)), replace(step_data(7), weight=0.0)],
        [*(step_data(n) for n in range(7)), replace(step_data(7), split="test")],
    ],
    ids=["seven", "one trajectory", "no weight", "held out"],
)
def test_too_few_successes_are_counted(few: list[StepData]) -> None:
    with pytest.raises(DataRefused, match=r"insert has \d different successful training episodes, 8 are needed"):
        fit_value(few, CONFIG)


def test_episodes_of_two_robots_are_refused() -> None:
    data = [*episodes(), step_data(40, fps=20.0)]
    with pytest.raises(DataRefused, match="other steps a second"):
        fit_value(data, CONFIG)


@pytest.mark.parametrize("objective", ["release", "paper"])
def test_a_published_objective_learns_from_failures_and_never_across_a_hand_over(objective: str) -> None:
    config = replace(CONFIG, objective=objective, steps=60)
    known = [e for e in episodes() if e.split != "test" and e.success is not None]
    changed = [replace(e, proprio=e.proprio + 9) if e.success is False else e for e in known]
    a, b = (train_net(data, config, ("depth",), 0) for data in (known, changed))
    assert not all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    taken = step_data(24, collection="takeover")
    followed = PublishedObjective([taken], config, ("depth",))._followed.numpy()
    ends = [stop - 1 for _, stop in taken.runs]
    assert len(ends) == 2
    assert np.flatnonzero(~followed).tolist() == ends


def test_the_releases_loss_is_what_its_equation_says() -> None:
    """One success of two steps at V = (.2, .6): TD (.2 - .99 * .6)^2 and (.6 - 1)^2, and so on."""
    column = {"value": [0.2, 0.6], "after": [0.6, 0.6], "backup": [0.594, 1.0], "known": [1, 1]}
    column |= {"progress": [0, 1], "returns": [0.99, 1], "success": [1, 1], "followed": [1, 0]}
    tensors = {name: torch.tensor(x, dtype=torch.float64)[:, None] for name, x in column.items()}
    found = float(_release(_Batch(**tensors), warm=True))
    temporal = ((0.2 - 0.594) ** 2 + 0.4**2) / 2
    blend = ((0.2 - 0.99) ** 2 + (0.6 - 2) ** 2) / 2
    assert found == pytest.approx(temporal + 0.3 * blend + (0.2**2 + 0.4**2) / 2)


def test_an_unknown_objective_is_refused() -> None:
    with pytest.raises(UsageError, match="successes, release, paper"):
        ValueConfig(objective="td")
