import torch
from torch import nn

from models.cloning import clone
from models.networks import seeded
from models.policy import PolicyConfig


def test_a_net_descends_on_the_batches_it_draws_and_says_how_far_it_is():
    generator, net, heard = seeded(0), nn.Sequential(nn.Linear(2, 1), nn.Dropout()), []
    x = torch.randn(64, 2, generator=generator)
    errors = []

    def batch_loss() -> torch.Tensor:
        loss = (net[0](x) - x.sum(1, keepdim=True)).abs().mean()
        errors.append(loss.item())
        return loss

    config = PolicyConfig(steps=500, learning_rate=0.05)
    clone(net, batch_loss, config, "line", lambda *said: heard.append(said))
    assert len(errors) == 500
    assert errors[-1] < 0.05 < errors[0]
    assert heard == [("line", step, 500) for step in range(25, 501, 25)]
    assert not net.training
