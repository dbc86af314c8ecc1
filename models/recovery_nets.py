"""Two networks that write an action chunk for a situation and a goal: token by token, and by a flow.

Shapes: B batch, S situation, H steps of a chunk, A action values, L tokens, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.networks import Standardise, mlp, noisy

WIDTH, HEADS = 64, 4


class TokenNet(nn.Module):
    """A small causal decoder: one vector of situation and goal, then the tokens written so far, to the next one.

    Symbol `vocabulary` ends a chunk; the context vector stands where a start symbol would.
    """

    def __init__(self, situation: int, vocabulary: int, longest: int, layers: int) -> None:
        super().__init__()
        self.end, self.longest = vocabulary, longest
        self.standardise = Standardise(situation)
        self.context = mlp([2 * situation, 2 * WIDTH, WIDTH])
        self.symbols = nn.Embedding(vocabulary + 1, WIDTH)
        self.places = nn.Embedding(longest + 2, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(WIDTH, vocabulary + 1)

    def forward(self, s_BS: Tensor, g_BS: Tensor, tokens_BL: Tensor, noise: float = 0.0) -> Tensor:
        """(B, L + 1, vocabulary + 1) logits of each next token."""
        pair = torch.cat([self.standardise(s_BS), self.standardise(g_BS)], 1)
        first = self.context(noisy(pair, noise))[:, None]
        x = torch.cat([first, self.symbols(tokens_BL)], 1)
        x = x + self.places(torch.arange(x.shape[1]))
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        out: Tensor = self.out(self.layers(x, mask=mask, is_causal=True))
        return out

    @torch.no_grad()
    def write(self, s_BS: Tensor, g_BS: Tensor) -> list[int]:
        """The tokens of one chunk, the likeliest at each place."""
        tokens: list[int] = []
        while len(tokens) < self.longest:
            so_far = torch.tensor([tokens], dtype=torch.int64)
            token = int(self(s_BS, g_BS, so_far)[0, -1].argmax())
            if token == self.end:
                break
            tokens.append(token)
        return tokens


class FlowNet(nn.Module):
    """The velocity of a flow from noise to chunks: v(x, u | s, g), u in [0, 1] (Lipman et al. 2023)."""

    def __init__(self, situation: int, size: int, hidden: int) -> None:
        super().__init__()
        self.size = size
        self.standardise = Standardise(situation)
        self.layers = mlp([2 * situation + size + 3, hidden, hidden, size])

    def forward(self, s_BS: Tensor, g_BS: Tensor, x_BN: Tensor, u_B1: Tensor, noise: float = 0.0) -> Tensor:
        """(B, N) velocity at the points x_BN, N = H A."""
        pair = torch.cat([self.standardise(s_BS), self.standardise(g_BS)], 1)
        when = torch.cat([u_B1, torch.sin(torch.pi * u_B1), torch.cos(torch.pi * u_B1)], 1)
        out: Tensor = self.layers(torch.cat([noisy(pair, noise), x_BN, when], 1))
        return out

    @torch.no_grad()
    def write(self, s_BS: Tensor, g_BS: Tensor, steps: int) -> Tensor:
        """(B, N) chunk, by Euler steps from the mean of the noise: the same situation gives the same chunk."""
        x = torch.zeros(len(s_BS), self.size)
        for step in range(steps):
            x = x + self(s_BS, g_BS, x, torch.full((len(x), 1), step / steps)) / steps
        return x
