"""Other heads of the recovery policy, with its interface: tokens and flow, chosen by config.

    regression   the mean chunk, L1 (`models.recovery`): the default
    tokens       FAST tokens of the chunk written by a small causal decoder, cross-entropy, greedy: the paper's
    flow         flow matching: v(x_u, u | s, g) = x_1 - x_0 on x_u = (1 - u) x_0 + u x_1, x_0 normal, x_1 the chunk

All learn what people did in whole chunks, towards where the same stretch came to (hindsight goals).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from episodes.errors import DataRefused, UsageError
from episodes.record import ActionSource, Array
from models import checkpoint
from models.cloning import clone
from models.dataset import Progress, StepData, check_alike
from models.fast_tokens import FastTokens
from models.networks import seeded
from models.recovery import HORIZON, RecoveryConfig, RecoveryPolicy, fit_recovery, situations
from models.recovery_nets import FlowNet, TokenNet
from models.sampling import Draws
from models.sealed import as_written, read_sealed

HEADS = ("regression", "tokens", "flow")
_Loss = Callable[[], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryHeadConfig:
    """Which head writes the chunk; steps, batch, rates, noise and goals are those of `RecoveryConfig`."""

    head: str = "regression"
    """regression, tokens or flow"""
    scale: float = 10.0
    """of the tokens: DCT coefficients are rounded to 1 / scale"""
    vocabulary: int = 256
    layers: int = 2
    """of the decoder"""
    flow_steps: int = 10
    """Euler steps of a chunk"""

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise UsageError(f"there is no recovery head {self.head!r}; use one of {', '.join(HEADS)}")
        if min(self.scale, self.vocabulary, self.layers, self.flow_steps) <= 0:
            raise UsageError("a recovery head needs a scale, vocabulary, layers and flow steps above 0")


@dataclass(slots=True)
class HeadPolicy:
    """A trained recovery policy with a head of tokens or a flow."""

    config: RecoveryConfig
    head: RecoveryHeadConfig
    task: str
    proprio_names: tuple[str, ...]
    actions: int
    net: TokenNet | FlowNet
    tokens: FastTokens | None

    def situation(self, proprio: Array) -> Array:
        """(S,) situation of one (P,) observation."""
        return np.asarray(situations(np.asarray(proprio)[None], self.proprio_names)[0])

    def chunk(self, situation: Array, goal: Array) -> Array:
        """(8, A) actions in -1..1 from a (S,) situation towards a (S,) goal."""
        s, g = (torch.tensor(np.asarray(x, np.float32)[None]) for x in (situation, goal))
        if isinstance(self.net, TokenNet):
            assert self.tokens is not None
            written = self.tokens.decode(self.net.write(s, g))
        else:
            written = self.net.write(s, g, self.head.flow_steps)[0].numpy().reshape(HORIZON, self.actions)
        return np.clip(written, -1, 1).astype(np.float32)

    def save(self, directory: Path) -> str:
        """Write weights and config; returns the model's hash."""
        saved = {"kind": f"recovery_{self.head.head}", "config": asdict(self.config), "head": asdict(self.head)}
        shape = {"task": self.task, "proprio_names": self.proprio_names, "actions": self.actions}
        longest = self.net.longest if isinstance(self.net, TokenNet) else 0
        own = {"tokens": asdict(self.tokens) if self.tokens else None, "longest": longest}
        return checkpoint.save(directory, checkpoint.prefixed(self.net, "net."), saved | shape | own)

    @classmethod
    def load(cls, directory: Path, head: str) -> HeadPolicy:
        """Read what `save` wrote."""
        tensors, saved = checkpoint.load(directory, f"recovery_{head}")
        with as_written(directory):
            config = RecoveryConfig(**{**saved["config"], "goal_steps": tuple(saved["config"]["goal_steps"])})
            head_config, names = RecoveryHeadConfig(**saved["head"]), tuple(saved["proprio_names"])
            told, longest, actions = saved["tokens"], saved["longest"], saved["actions"]
            tokens = FastTokens(**{**told, "merges": tuple(map(tuple, told["merges"]))}) if told else None
        situation = checkpoint.inputs(directory, tensors, "net.")
        net = _net(situation, actions, config, head_config, tokens, longest).eval()
        checkpoint.load_state({"net.": net}, tensors)
        return cls(config, head_config, saved["task"], names, actions, net, tokens)


def load_recovery_policy(directory: Path) -> RecoveryPolicy | HeadPolicy:
    """The recovery policy of a directory, whatever its head."""
    kind = str(read_sealed(directory / checkpoint.CONFIG).get("kind", ""))
    head = kind.removeprefix("recovery_")
    return HeadPolicy.load(directory, head) if head in HEADS else RecoveryPolicy.load(directory)


def fit_recovery_policy(
    episodes: Sequence[StepData],
    config: RecoveryConfig,
    head: RecoveryHeadConfig,
    *,
    progress: Progress | None = None,
) -> RecoveryPolicy | HeadPolicy:
    """The recovery policy with the head that is asked for; `DataRefused` where no person drove a whole chunk."""
    if head.head == "regression":
        return fit_recovery(episodes, config, progress=progress)
    usable = [e for e in episodes if e.split == "train" and (e.source == ActionSource.HUMAN).any()]
    found = [_chunks(e) for e in usable]
    if not sum(len(starts) for starts, _ in found):
        raise DataRefused("no training episode has a human segment of 8 steps to learn chunks from; record takeovers")
    check_alike(usable)
    generator = seeded(config.seed)
    data = _Chunks(usable, found, config, generator)
    tokens = None
    if head.head == "tokens":
        tokens = FastTokens.fit(data.chunk.numpy(), scale=head.scale, vocabulary=head.vocabulary)
    written = [tokens.encode(chunk) for chunk in data.chunk.numpy()] if tokens else []
    longest = max(map(len, written), default=0)
    names, actions = usable[0].proprio_names, data.chunk.shape[2]
    net = _net(data.situation.shape[1], actions, config, head, tokens, longest)
    net.standardise.fit(data.situation[data.start].numpy())
    loss = _token_loss(net, data, written) if isinstance(net, TokenNet) else _flow_loss(net, data, generator)
    clone(net, loss, config, f"recovery policy, {head.head}", progress)
    return HeadPolicy(config, head, usable[0].task, names, actions, net, tokens)


def _net(
    situation: int,
    actions: int,
    config: RecoveryConfig,
    head: RecoveryHeadConfig,
    tokens: FastTokens | None,
    longest: int,
) -> TokenNet | FlowNet:
    if tokens is not None:
        return TokenNet(situation, tokens.vocabulary, longest, head.layers)
    return FlowNet(situation, HORIZON * actions, config.hidden)


def _chunks(episode: StepData) -> tuple[Array, Array]:
    """(starts, stops of their stretches): steps from which a person drove a whole chunk of known actions."""
    known = np.asarray(np.isfinite(episode.executed_action).all(axis=1))
    starts, stops = [], []
    for start, stop in episode.runs:
        if episode.source[start] == ActionSource.HUMAN:
            whole = [t for t in range(start, stop - HORIZON + 1) if known[t : t + HORIZON].all()]
            starts += whole
            stops += [stop] * len(whole)
    return np.array(starts, np.int64), np.array(stops, np.int64)


class _Chunks:
    """Chunks that people drove, drawn by the weight of their episode, each with a hindsight goal."""

    def __init__(
        self,
        episodes: Sequence[StepData],
        found: Sequence[tuple[Array, Array]],
        config: RecoveryConfig,
        generator: torch.Generator,
    ) -> None:
        offsets = np.cumsum([0, *(len(e) for e in episodes)])[:-1]
        rows = [(starts + o, stops + o) for (starts, stops), o in zip(found, offsets, strict=True)]
        self.start, self._stop = (torch.as_tensor(np.concatenate(column)) for column in zip(*rows, strict=True))
        self.situation = torch.as_tensor(np.concatenate([situations(e.proprio, e.proprio_names) for e in episodes]))
        actions = np.nan_to_num(np.concatenate([e.executed_action for e in episodes]))
        index = self.start.numpy()[:, None] + np.arange(HORIZON)
        self.chunk = torch.as_tensor(actions[index], dtype=torch.float32)
        weights = np.repeat([e.weight for e in episodes], [len(starts) for starts, _ in found])
        self._draws, self._generator, self.config = Draws(weights, generator), generator, config

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """(rows of `chunk`, situations, goals) of one batch."""
        low, high = self.config.goal_steps
        row = self._draws(self.config.batch)
        ahead = torch.randint(low, high + 1, (self.config.batch,), generator=self._generator)
        goal = torch.minimum(self.start[row] + ahead, self._stop[row] - 1)
        return row, self.situation[self.start[row]], self.situation[goal]


def _token_loss(net: TokenNet, data: _Chunks, written: Sequence[Sequence[int]]) -> _Loss:
    padded = torch.full((len(written), net.longest + 1), -1, dtype=torch.int64)
    for row, tokens in enumerate(written):
        padded[row, : len(tokens) + 1] = torch.tensor([*tokens, net.end])

    def loss() -> Tensor:
        row, s, g = data.draw()
        target = padded[row]
        logits = net(s, g, target[:, :-1].clamp(min=0), data.config.input_noise)
        return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-1)

    return loss


def _flow_loss(net: FlowNet, data: _Chunks, generator: torch.Generator) -> _Loss:
    def loss() -> Tensor:
        row, s, g = data.draw()
        end = data.chunk[row].flatten(1)
        start = torch.randn(end.shape, generator=generator)
        u = torch.rand((len(end), 1), generator=generator)
        told = net(s, g, (1 - u) * start + u * end, u, data.config.input_noise)
        return nn.functional.mse_loss(told, end - start)

    return loss
