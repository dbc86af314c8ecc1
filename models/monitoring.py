"""The monitor's arithmetic, one step at a time: what the batch curves give, up to rounding, for the loop."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import torch

from episodes.errors import DataRefused
from episodes.record import Array
from models.cusum import CusumStream
from models.history import MEDIAN, HistoryStream
from models.intervention import InterventionModel
from models.stall import SMOOTH
from models.trigger import Trigger
from models.value import ValueModel


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorStep:
    """What the monitor thinks after one step."""

    value: float
    score: float
    trigger: bool
    trigger_probability: float


@dataclass(slots=True)
class _NetStream:
    """The running state of one value net and its intervention net."""

    history: HistoryStream
    cusum: CusumStream
    raw: deque[float] = field(default_factory=lambda: deque(maxlen=MEDIAN))
    probabilities: deque[float] = field(default_factory=lambda: deque(maxlen=SMOOTH))

    def reset(self) -> None:
        self.history.reset()
        self.cusum.reset()
        self.raw.clear()
        self.probabilities.clear()


class MonitorStream:
    """Value, CUSUM and learned trigger of one running episode.

    `reset` at the start and at every change of source; `update` costs a few milliseconds on one core.
    """

    def __init__(
        self, model: ValueModel, intervention: InterventionModel, trigger: Trigger, names: tuple[str, ...]
    ) -> None:
        missing = [name for name in model.proprio_names if name not in names]
        if missing:
            raise DataRefused(f"the robot gives no proprio value {missing[0]!r}, which the monitor reads")
        self._model, self._intervention, self._trigger = model, intervention, trigger
        self._columns = [names.index(name) for name in model.proprio_names]
        self._gate = trigger.gate(model.fps)
        drift = trigger.config.drift / trigger.median_steps
        self._nets = [
            _NetStream(HistoryStream(model.fps, model.median_duration_s), CusumStream(drift=drift)) for _ in model.nets
        ]

    def reset(self) -> None:
        """Forget the past: a new episode, or another actor."""
        self._gate.reset()
        for net in self._nets:
            net.reset()

    @torch.no_grad()
    def update(
        self, proprio: Array, images: Array | None, position_m: Array, force_n: float, action: Array
    ) -> MonitorStep:
        """Take in one step: (P,) proprio, (C, H, W, 3) frames, tool position, |F|, the (A,) action about to be sent."""
        torch.set_num_threads(1)
        own = torch.as_tensor(np.asarray(proprio, np.float32)[self._columns][None])
        frames = None if images is None else torch.as_tensor(images[None])
        act = torch.as_tensor(np.asarray(action, np.float32)[None])
        values, cusums, probabilities, risks = [], [], [], []
        for k, stream in enumerate(self._nets):
            z = self._model.nets[k].latent(frames, own)
            stream.raw.append(float(self._model.nets[k].progress(z).mean(dim=1).double()))
            value = float(np.median(stream.raw))
            past = torch.as_tensor(stream.history.update(value, position_m, force_n)[None])
            out = self._intervention.nets[k](z, act, past)
            logit = float(out["trigger"].double())
            risks.append(float(out["risk"].double()))
            stream.probabilities.append(1 / (1 + np.exp(-logit)))
            values.append(value)
            cusums.append(stream.cusum.update(value))
            probabilities.append(sum(stream.probabilities) / SMOOTH)
        probability = float(np.mean(probabilities))
        if self._trigger.config.form == "tvr":
            probability = float(1 / (1 + np.exp(-np.mean(risks))))
        score = self._trigger.score(float(np.mean(cusums)), probability)
        return MonitorStep(
            value=float(np.mean(values)),
            score=score,
            trigger=self._gate.update(score),
            trigger_probability=probability,
        )
