"""Slimmable BatchNorm with statistics per configuration.

Training uses batch statistics at every configuration; the running statistics (momentum) are updated by the full
configuration only. Evaluation uses the running statistics at full and, at any other configuration, the statistics that
calibration stored for exactly that configuration (MutualNet, section 3.1; US-Net's post-statistics).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import ConfigurationError, NotCalibratedError
from mutualnet3d.layers.activation import Activation, Slimmable, activation_of, dense_parameter
from mutualnet3d.layers.channels import Channels
from mutualnet3d.layers.population import PopulationStatistics
from mutualnet3d.layers.synchronised import normalise, pooled_statistics, several_processes

if TYPE_CHECKING:
    from typing_extensions import Self

    _Dense = nn.modules.batchnorm._BatchNorm  # what the mixin is mixed into
else:
    _Dense = object

_BANK = "statistics."  # entries of the state dict: <layer>.statistics.<configuration>.{mean,var}


class _SlimmableBatchNorm(Slimmable, _Dense):
    _dense_class: Any
    slim: Channels
    running_mean: Any  # torch's may be None, these are tensors
    running_var: Any
    num_batches_tracked: Any
    statistics: dict[Configuration, tuple[torch.Tensor, torch.Tensor]]
    observed: PopulationStatistics | None = None  # set during calibration: collects what the layer sees
    synchronised = False  # whether training pools the batch statistics of all processes

    def __init__(self, channels: Channels, *args: Any, **kwargs: Any):
        super().__init__(channels.size, *args, **kwargs)
        self._set_channels(channels)

    @classmethod
    def from_dense(cls, norm: nn.Module, channels: Channels) -> Self:
        """A slimmable layer that shares the parameters and buffers of ``norm``; ValueError on other sizes."""
        layer = cls.__new__(cls)
        layer.__dict__.update(norm.__dict__)
        layer._set_channels(channels)
        return layer

    def _set_channels(self, channels: Channels) -> None:
        if channels.size != self.num_features:
            raise ValueError(f"channels {channels.size} do not match the BatchNorm's {self.num_features}")
        if not (self.affine and self.track_running_stats):
            raise ValueError("slimmable BatchNorm needs affine=True and track_running_stats=True")
        self.slim, self.statistics = channels, {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._check_input_dim(x)
        if self.observed is not None:
            return self._forward_observed(x, self.observed)
        if self.training and self.synchronised and several_processes():
            return self._forward_synchronised(x)
        if self.activation.configuration is None:
            return super().forward(x)
        if self.training:
            return F.batch_norm(x, None, None, *self._affine(), training=True, eps=self.eps)
        mean, var = self.statistics_of(self.activation)
        return F.batch_norm(x, mean, var, *self._affine(), training=False, eps=self.eps)

    def _forward_observed(self, x: torch.Tensor, observed: PopulationStatistics) -> torch.Tensor:
        """Normalise by the batch and hand its mean and variance to the collector; buffers stay untouched."""
        weight, bias = self._affine()
        mean, var = torch.zeros_like(weight), torch.zeros_like(weight)
        if x.numel() == x.shape[1]:
            raise ValueError(
                f"calibration saw one sample per channel (input {tuple(x.shape)}): a variance needs more; use batches "
                "of at least 2 clips or images"
            )
        out = F.batch_norm(x, mean, var, weight, bias, training=True, momentum=1.0, eps=self.eps)
        observed.add(mean, var, x.numel() // x.shape[1])
        return out

    def _forward_synchronised(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise by the batches of all processes; at full their mean and variance move the running ones."""
        mean, var, count = pooled_statistics(x)
        if self.activation.configuration is None:
            with torch.no_grad():
                self.num_batches_tracked += 1
                momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean.detach().to(self.running_mean), momentum)
                self.running_var.lerp_((var.detach() * (count / max(count - 1, 1))).to(self.running_var), momentum)
        return normalise(x, mean, var, *self._affine(), self.eps)

    def _affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        width = self.activation.width
        return self.slim.narrow(self.weight, 0, width), self.slim.narrow(self.bias, 0, width)

    def statistics_of(self, activation: Activation) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean, variance) under ``activation``, each of shape (active channels,); NotCalibratedError if unknown."""
        if activation.configuration is None:
            return self.running_mean, self.running_var
        try:
            return self.statistics[activation.configuration]
        except KeyError:
            known = ", ".join(str(c) for c in self.statistics) or "none"
            raise NotCalibratedError(
                f"configuration {activation.configuration} has no BatchNorm statistics (calibrated: {known}). "
                "Compute them with mutualnet3d.calibrate(model, batches, [configuration]) before evaluating it"
            ) from None

    def store_statistics(self, activation: Activation, mean: torch.Tensor, var: torch.Tensor) -> None:
        """Keep (mean, variance) for ``activation``; the full configuration's go into the running buffers."""
        mean, var = mean.to(self.running_mean), var.to(self.running_var)
        if mean.shape != (self.slim.count(activation.width),) or var.shape != mean.shape:
            raise ValueError(
                f"statistics of shapes {tuple(mean.shape)}, {tuple(var.shape)} do not fit the "
                f"{self.slim.count(activation.width)} channels active at {activation}"
            )
        if activation.configuration is None:
            self.running_mean.copy_(mean)
            self.running_var.copy_(var)
        else:
            self.statistics[activation.configuration] = (mean.clone(), var.clone())

    def to_dense(self, activation: Activation, *, skeleton: bool = False) -> nn.Module:
        count = self.slim.count(activation.width)
        device = "meta" if skeleton else self.weight.device
        dense = self._dense_class(count, self.eps, self.momentum, device=device, dtype=self.weight.dtype)
        dense.weight = dense_parameter(self.slim.narrow(self.weight, 0, activation.width), skeleton)
        dense.bias = dense_parameter(self.slim.narrow(self.bias, 0, activation.width), skeleton)
        if not skeleton:
            mean, var = self.statistics_of(activation)
            dense.running_mean.copy_(mean)
            dense.running_var.copy_(var)
        return dense.train(self.training)

    # The bank travels with the module: to(), deepcopy (an ordinary attribute) and state dicts.

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self.statistics = {key: (fn(mean), fn(var)) for key, (mean, var) in self.statistics.items()}
        return self

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for configuration, (mean, var) in self.statistics.items():
            destination[f"{prefix}{_BANK}{configuration}.mean"] = mean
            destination[f"{prefix}{_BANK}{configuration}.var"] = var

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        metadata: dict,
        strict: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        start = prefix + _BANK
        entries = {key[len(start) :]: state_dict.pop(key) for key in list(state_dict) if key.startswith(start)}
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, unexpected, errors)
        self.statistics = {}  # statistics belong to the weights that they were computed with
        for text in sorted({key.rpartition(".")[0] for key in entries}):
            mean, var = entries.get(f"{text}.mean"), entries.get(f"{text}.var")
            try:
                configuration = Configuration.parse(text)
            except ConfigurationError as error:
                errors.append(f"{start}{text}: {error}")
                continue
            if (
                mean is None
                or var is None
                or mean.ndim != 1
                or var.shape != mean.shape
                or len(mean) > self.num_features
            ):
                errors.append(f"{start}{text} needs a mean and a var of one size, at most {self.num_features}")
                continue
            own = self.running_mean
            self.statistics[configuration] = (mean.to(own, copy=True), var.to(own, copy=True))


class SlimmableBatchNorm2d(_SlimmableBatchNorm, nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d`` over :class:`Channels`, (N, active, H, W), with statistics per configuration."""

    _dense_class = nn.BatchNorm2d


class SlimmableBatchNorm3d(_SlimmableBatchNorm, nn.BatchNorm3d):
    """``torch.nn.BatchNorm3d`` over :class:`Channels`, (N, active, T, H, W), with statistics per configuration."""

    _dense_class = nn.BatchNorm3d


def slimmable_norms(module: nn.Module) -> list[SlimmableBatchNorm2d | SlimmableBatchNorm3d]:
    """The slimmable BatchNorm layers of ``module``, which hold its statistics, in their order."""
    return [layer for layer in module.modules() if isinstance(layer, (SlimmableBatchNorm2d, SlimmableBatchNorm3d))]


@torch.no_grad()
def use_statistics_of_full(model: nn.Module, configurations: Iterable[Configuration]) -> None:
    """Give ``configurations`` what they would use without calibration: full's means and variances, of their channels.

    ``model`` has a ``space``, which knows full; full itself keeps what it has.
    """
    space: Any = model.space
    for configuration in configurations:
        activation = activation_of(configuration, space.full)
        for norm in slimmable_norms(model):
            own = (norm.slim.narrow(each, 0, activation.width) for each in (norm.running_mean, norm.running_var))
            norm.store_statistics(activation, *own)
