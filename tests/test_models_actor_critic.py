"""Actor and critics: each critic is the plain net it stands for, targets keep to [0, 1], and learning goes uphill."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from episodes.errors import IntegrityError, UsageError
from models.actor_critic import ActorCritic, ActorCriticConfig, Adam, Critics, flattened
from models.replay import Batch

D, A, B = 5, 2, 16
CONFIG = ActorCriticConfig(hidden=16, critics=3, clone_steps=400, clone_batch=32, clone_learning_rate=5e-3)


def learner(seed: int = 0) -> ActorCritic:
    return ActorCritic(D, A, CONFIG, seed=seed)


def batch(seed: int = 0, *, reward: float = 0.0, discount: float = 0.9) -> Batch:
    random = torch.Generator().manual_seed(seed)
    seen, after = torch.randn(2, B, D, generator=random)
    action = torch.rand(B, A, generator=random) * 2 - 1
    return Batch(seen, action, torch.full((B,), reward), torch.full((B,), discount), after)


def numbers(module: nn.Module) -> Tensor:
    """All parameters, copied."""
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def plain_critic(critics: Critics, i: int, x: Tensor) -> Tensor:
    """(B,) what critic `i` says, layer by layer."""
    for weight, bias, shift in zip(critics.weights, critics.biases, critics.shifts, strict=False):
        x = x @ weight[i] + bias[i]
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        x = (x + shift[i]).clamp(min=0.0)
    return (x @ critics.weights[-1][i] + critics.biases[-1][i])[:, 0]


def test_each_of_the_ensemble_is_a_net_of_its_own() -> None:
    critics, seen = learner().critics, batch()
    for shift in critics.shifts:
        nn.init.normal_(shift)
    values = critics(seen.observation, seen.action)
    both = torch.cat([seen.observation, seen.action], dim=1)
    assert values.shape == (3, B)
    for i in range(3):
        assert torch.allclose(values[i], plain_critic(critics, i, both), atol=1e-5)
    chosen = critics(seen.observation, seen.action, torch.tensor([2, 0]))
    assert torch.allclose(chosen, values[[2, 0]], atol=1e-6)


def test_the_flat_tensor_is_the_module() -> None:
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    flat = flattened(module)
    assert torch.equal(module.weight.detach(), before)
    flat.zero_()
    assert not module.weight.any()
    assert not module.bias.any()


def test_adam_is_adam() -> None:
    """The same steps as the library's, on the same losses."""
    torch.manual_seed(0)
    mine, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(mine.state_dict())
    adam, reference = Adam(mine, 1e-2), torch.optim.Adam(theirs.parameters(), 1e-2)
    for _ in range(20):
        x = torch.randn(8, 4)
        adam.descend(mine(x).square().mean())
        reference.zero_grad()
        theirs(x).square().mean().backward()
        reference.step()
    assert torch.allclose(mine.weight, theirs.weight, atol=1e-6)


def test_critics_learn_the_reward_where_the_episode_ends() -> None:
    net, seen = learner(), batch(reward=1.0, discount=0.0)
    for _ in range(600):
        net.update_critics(seen)
    assert torch.allclose(net.critics(seen.observation, seen.action), torch.ones(3, B), atol=0.1)


def test_targets_follow_the_critics_slowly_and_the_actor_not_at_all() -> None:
    net = learner()
    actor, targets, critics = numbers(net.actor), numbers(net.targets), numbers(net.critics)
    assert torch.equal(targets, critics)
    net.update_critics(batch(reward=1.0))
    moved = numbers(net.critics) - critics
    assert moved.abs().max() > 1e-5
    assert torch.allclose(numbers(net.targets) - targets, CONFIG.target_rate * moved, atol=1e-7)
    assert torch.equal(numbers(net.actor), actor)


def test_targets_keep_to_what_a_reward_of_one_allows() -> None:
    net = learner()
    for bias, expected in ((50.0, 1.0), (-50.0, 0.0)):
        with torch.no_grad():
            net.targets.biases[-1].fill_(bias)
        assert net._target(batch()).tolist() == [expected] * B


def test_the_actor_goes_uphill_and_leaves_the_critics_alone() -> None:
    net, seen = learner(), batch()
    critics = numbers(net.critics)
    values = [net.critics(seen.observation, net.actor(seen.observation)).mean().item()]
    for _ in range(100):
        net.update_actor(seen, B // 2, 0.0)
    values.append(net.critics(seen.observation, net.actor(seen.observation)).mean().item())
    assert values[1] > values[0] + 0.01
    assert torch.equal(numbers(net.critics), critics)


def test_the_clone_term_holds_the_actor_to_the_persons_rows_alone() -> None:
    net, seen = learner(), batch()
    with torch.no_grad():
        net.critics.weights[-1].zero_()
    wrong = [(net.actor(seen.observation) - seen.action).square().mean(dim=1).detach()]
    for _ in range(300):
        net.update_actor(seen, 4, 1.0)
    wrong.append((net.actor(seen.observation) - seen.action).square().mean(dim=1).detach())
    assert wrong[1][:4].mean() < 0.2 * wrong[0][:4].mean()
    assert wrong[1][4:].mean() > 0.5 * wrong[0][4:].mean()


def test_the_more_the_clone_term_weighs_the_closer_the_actor_stays_to_the_person() -> None:
    def distance(clone_weight: float) -> float:
        net, seen = learner(), batch()
        for _ in range(60):
            net.update_actor(seen, 4, clone_weight)
        return (net.actor(seen.observation)[:4] - seen.action[:4]).square().mean().item()

    free, light, heavy = map(distance, (0.0, 0.1, 10.0))
    assert heavy < light < free


def test_cloning_learns_a_plain_rule() -> None:
    net = learner()
    seen = torch.randn(200, D)
    net.clone(seen, seen[:, :A].tanh() * 0.8)
    unseen = torch.randn(50, D)
    assert (net.actor(unseen) - unseen[:, :A].tanh() * 0.8).abs().mean() < 0.15


def test_exploration_has_the_spread_asked_for_and_stays_inside() -> None:
    net, seen = learner(), torch.zeros(D)
    actions = torch.stack([net.act(seen, 0.1) for _ in range(500)]).numpy()
    assert np.allclose(actions.std(axis=0), 0.1, rtol=0.2)
    assert np.allclose(actions.mean(axis=0), net.act(seen).numpy(), atol=0.03)
    assert np.abs(torch.stack([net.act(seen, 5.0) for _ in range(50)]).numpy()).max() == 1.0


def trained(net: ActorCritic, updates: int) -> ActorCritic:
    for i in range(updates):
        net.update_critics(batch(i, reward=0.3))
        net.update_actor(batch(i), 4, 0.5)
    return net


def test_a_restored_learner_goes_on_bit_for_bit() -> None:
    net = trained(learner(), 3)
    state = {name: tensor.clone() for name, tensor in net.state().items()}
    again = learner(seed=7)
    again.restore(state)
    one, other = trained(net, 3), trained(again, 3)
    assert state.keys() == one.state().keys()
    assert all(torch.equal(one.state()[name], other.state()[name]) for name in state)
    assert not torch.equal(one.state()["actor.flat"], state["actor.flat"])


def test_the_checkpoint_of_other_networks_is_refused() -> None:
    other = ActorCritic(D + 1, A, CONFIG, seed=0).state()
    with pytest.raises(IntegrityError, match="other networks"):
        learner().restore(other)
    with pytest.raises(IntegrityError, match="other networks"):
        learner().restore({name: tensor for name, tensor in other.items() if name != "generator"})


def test_more_critics_than_there_are_cannot_be_drawn() -> None:
    with pytest.raises(UsageError, match="cannot be drawn"):
        ActorCriticConfig(critics=2, target_critics=3)
