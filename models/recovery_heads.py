"""Heads and targets of the recovery policy, with one interface, chosen by config.

    regression   the mean chunk, L1 (`models.recovery`): the default
    tokens       FAST tokens of the chunk written by a small causal decoder, cross-entropy, greedy: the paper's
    flow         flow matching: v(x_u, u | s, g) = x_1 - x_0 on x_u = (1 - u) x_0 + u x_1, x_0 normal, x_1 the chunk

What they are shown is in `models.chunks`: what people did, or what memory gave to stuck states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from episodes.errors import DataRefused, UsageError
from episodes.record import Array
from models import checkpoint
from models.chunks import Answered, Chunks, HindsightChunks, RetrievedChunks, with_chunks
from models.cloning import clone
from models.dataset import Progress, StepData, check_alike
from models.fast_tokens import FastTokens
from models.networks import seeded
from models.recovery import HORIZON, ChunkNet, RecoveryConfig, RecoveryPolicy, fit_recovery, situations
from models.recovery_nets import FlowNet, TokenNet
from models.sealed import as_written, read_sealed
from models.training import BatchLoss, Training

HEADS = ("regression", "tokens", "flow")
TARGETS = ("hindsight", "retrieved")
Net = ChunkNet | TokenNet | FlowNet


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryHeadConfig:
    """Which head writes the chunk; steps, batch, rates, noise and goals are those of `RecoveryConfig`."""

    head: str = "regression"
    """regression, tokens or flow"""
    target: str = "hindsight"
    """hindsight (what people did, ours) or retrieved (what memory gives to stuck states, the release's)"""
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
        if self.target not in TARGETS:
            raise UsageError(f"there is no recovery target {self.target!r}; use one of {', '.join(TARGETS)}")
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
        assert not isinstance(net, ChunkNet)
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
    retrieved: Sequence[Answered] = (),
    progress: Progress | None = None,
    training: Training | None = None,
) -> RecoveryPolicy | HeadPolicy:
    """The recovery policy with the head and target that are asked for; `retrieved` is read for that target alone.

    `DataRefused` where no person drove a whole chunk, or memory had no answer.
    """
    if (head.head, head.target) == ("regression", "hindsight"):
        return fit_recovery(episodes, config, progress=progress, training=training)
    used = with_chunks(episodes, "train") if head.target == "hindsight" else [e for e in episodes if e.split == "train"]
    training, generator = training or Training(), seeded(config.seed)
    data = _examples(episodes, retrieved, head, config, "train", generator)
    if data is None:
        raise DataRefused(_nothing(head.target))
    check_alike(used)
    tokens = None
    if head.head == "tokens":
        tokens = FastTokens.fit(data.chunk.numpy(), scale=head.scale, vocabulary=head.vocabulary)
    longest = max((len(tokens.encode(chunk)) for chunk in data.chunk.numpy()), default=0) if tokens else 0
    net = _net(data.situation.shape[1], data.chunk.shape[2], config, head, tokens, longest)
    net.standardise.fit(data.situation.numpy())

    def loss_of(split: str, own: torch.Generator) -> BatchLoss:
        judged = _examples(episodes, retrieved, head, config, split, own)
        assert judged is not None
        return _loss(net, judged, config, tokens, own)

    there = _examples(episodes, retrieved, head, config, "validation", generator) is not None
    held_out = training.held_out("validation" if there else None, loss_of)
    loss, name = _loss(net, data, config, tokens, generator), f"recovery policy, {head.head}"
    clone(net, lambda: loss(0.0), config, name, progress, generator=generator, training=training, held_out=held_out)
    names, actions = used[0].proprio_names, data.chunk.shape[2]
    if isinstance(net, ChunkNet):
        return RecoveryPolicy(config, used[0].task, names, actions, net)
    return HeadPolicy(config, head, used[0].task, names, actions, net, tokens)


def _examples(
    episodes: Sequence[StepData],
    retrieved: Sequence[Answered],
    head: RecoveryHeadConfig,
    config: RecoveryConfig,
    split: str,
    generator: torch.Generator,
) -> Chunks | None:
    """What a split has to show; None where that is nothing."""
    if head.target == "retrieved":
        found = [one for one in retrieved if one.split == split]
        return RetrievedChunks(found, config, generator) if found else None
    usable = with_chunks(episodes, split)
    return HindsightChunks(usable, config, generator) if usable else None


def _nothing(target: str) -> str:
    if target == "retrieved":
        return (
            "memory has no answer to any stuck state of the training episodes, so there is no chunk to learn; set "
            "recovery_head.target to hindsight, or lower memory.gain"
        )
    return "no training episode has a human segment of 8 steps to learn chunks from; record takeovers"


def _net(
    situation: int,
    actions: int,
    config: RecoveryConfig,
    head: RecoveryHeadConfig,
    tokens: FastTokens | None,
    longest: int,
) -> Net:
    if tokens is not None:
        return TokenNet(situation, tokens.vocabulary, longest, head.layers)
    if head.head == "regression":
        return ChunkNet(situation, actions, config.hidden)
    return FlowNet(situation, HORIZON * actions, config.hidden)


def _loss(
    net: Net, data: Chunks, config: RecoveryConfig, tokens: FastTokens | None, generator: torch.Generator
) -> BatchLoss:
    """The head's loss on a batch of examples."""
    if isinstance(net, TokenNet):
        assert tokens is not None
        return _token_loss(net, data, config, [tokens.encode(chunk) for chunk in data.chunk.numpy()])
    return _chunk_loss(net, data, config) if isinstance(net, ChunkNet) else _flow_loss(net, data, config, generator)


def _chunk_loss(net: ChunkNet, data: Chunks, config: RecoveryConfig) -> BatchLoss:
    def loss(_: float) -> Tensor:
        row, g = data.draw()
        return nn.functional.l1_loss(net(data.situation[row], g, config.input_noise), data.chunk[row])

    return loss


def _token_loss(net: TokenNet, data: Chunks, config: RecoveryConfig, written: Sequence[Sequence[int]]) -> BatchLoss:
    """Cross-entropy of each next token; a chunk longer than any that was learned from counts as far as that."""
    padded = torch.full((len(written), net.longest + 1), -1, dtype=torch.int64)
    for row, tokens in enumerate(written):
        told = [*tokens, net.end][: net.longest + 1]
        padded[row, : len(told)] = torch.tensor(told)

    def loss(_: float) -> Tensor:
        row, g = data.draw()
        target = padded[row]
        logits = net(data.situation[row], g, target[:, :-1].clamp(min=0), config.input_noise)
        return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-1)

    return loss


def _flow_loss(net: FlowNet, data: Chunks, config: RecoveryConfig, generator: torch.Generator) -> BatchLoss:
    def loss(_: float) -> Tensor:
        row, g = data.draw()
        end = data.chunk[row].flatten(1)
        start = torch.randn(end.shape, generator=generator)
        u = torch.rand((len(end), 1), generator=generator)
        told = net(data.situation[row], g, (1 - u) * start + u * end, u, config.input_noise)
        return nn.functional.mse_loss(told, end - start)

    return loss
