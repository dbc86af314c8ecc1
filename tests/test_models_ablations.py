"""The tables of comparison: what an ablation does without has no influence on it, and the tables say what was found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_samples import CONFIG, INTERVENTION, episodes, fitted

from episodes.errors import UsageError
from models.ablations import as_markdown, compare_heads, compare_values
from models.history import FEATURES
from models.intervention import InterventionConfig, InterventionNet
from models.value import OBJECTIVES


@pytest.mark.parametrize("variant", ["no_value", "no_risk", "no_future", "one_scalar", "full"])
def test_an_ablation_does_not_see_what_it_does_without(variant: str) -> None:
    torch.manual_seed(0)
    net = InterventionNet(6, 2, variant).eval()
    z, a, h = torch.randn(4, 6), torch.randn(4, 2), torch.randn(4, FEATURES)
    value = torch.cat([h[:, :6] + 1, h[:, 6:]], 1)
    out, other, moved, pushed = net(z, a, h), net(z, a, value), net(z, a, h + 1), net(z, a + 1, h)
    assert torch.equal(out["trigger"], other["trigger"]) == (variant in ("no_value", "no_risk"))
    assert torch.equal(out["trigger"], moved["trigger"]) == (variant == "no_risk")
    assert torch.equal(out["trigger"], pushed["trigger"]) == (variant == "no_future")
    assert torch.equal(out["trigger"], out["risk"]) == (variant == "one_scalar")


def test_both_tables_have_every_variant_with_intervals() -> None:
    f, data = fitted(), list(episodes())
    heads = compare_heads(data, f.labels, f.value, replace(INTERVENTION, steps=2), curves=f.curves)
    assert [line.variant for line in heads] == ["full", "one_scalar", "no_future", "no_value", "no_risk"]
    assert all(
        0 <= line.figures["F1"].lo <= line.figures["F1"].hi <= 1 for line in heads if line.figures["F1"].value > 0
    )
    assert "Q-loss" not in heads[3].figures
    mixed = [replace(e, policy_id="") if e.collection == "demo" else e for e in data]
    values = compare_values([*mixed, *more_demonstrations()], replace(CONFIG, steps=3))
    assert len(values) == 2 * 2 * len(OBJECTIVES)
    text = as_markdown([*heads, *values])
    assert text.count("### ") == 3
    assert "Int. F1 .832" in text
    assert "| release, not squashed |" in text


def more_demonstrations() -> list[object]:
    """The confounded half needs eight successes of its own."""
    first = next(e for e in episodes() if e.collection == "demo")
    return [replace(first, episode_id=f"d{n}", group_id=f"d{n}", time_s=np.array(first.time_s)) for n in range(8)]


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(UsageError, match="no_future"):
        InterventionConfig(variant="no_memory")
