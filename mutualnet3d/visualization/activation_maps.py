"""Class activation maps: how much each place and moment of a clip speaks for a class, at any configuration.

Where a network pools its last features globally and classifies them linearly (Slow, SlowFast, ResNets), the map of
class k is ``sum_c weight[k, c] * features[c]`` over the channels that are active at the width: the class activation map
of Zhou et al. (arXiv 1512.04150). Its mean over all positions, summed over SlowFast's pathways, is the logit less the
bias.

Where more than one layer follows the pooling (X3D's ``lin_5`` and ReLU), no such weights exist. The gradient of the
logit with respect to the features, summed over the positions, takes their place: Grad-CAM (Selvaraju et al., arXiv
1610.02391) before its ReLU. For networks of the first kind that gradient is the weight, so one computation serves both.
X3D's mean is the logit less the bias as well, unless X3D.BN_LIN5: its layers after the pooling have no bias, and a ReLU
keeps scales.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.layers import eval_mode
from mutualnet3d.models.heads import BasicHead, X3DHead

PATHWAYS = ("slow", "fast", "both")


@dataclass(frozen=True, eq=False)
class ActivationMaps:
    """What speaks for one class of each clip of a batch.

    Attributes:
        configuration: that the network ran at.
        logits: float32 (N, K).
        classes: int64 (N,), the class that each map is of.
        features: float32 (N, t, h, w) of each pathway, Slow first: the maps where they were computed, positive where
            the features speak for the class. Of images (N, 1, h, w).
        centres: of each pathway the frames, rows and columns of the clip, in pixels, at the middle of what the t, h and
            w features see.
        clip_size: (T, H, W) of the clip; T is 1 for images.
    """

    configuration: Configuration
    logits: torch.Tensor
    classes: torch.Tensor
    features: tuple[torch.Tensor, ...]
    centres: tuple[tuple[tuple[float, ...], ...], ...]
    clip_size: tuple[int, int, int]

    def at_clip(self, pathway: str = "slow") -> torch.Tensor:
        """The maps over the clip, float32 (N, T, H, W): linear along each axis between the features' centres.

        Args:
            pathway: ``slow`` (or the only one), ``fast``, or ``both``, their sum.

        Raises:
            ConfigError: there is no such pathway.
        """
        if pathway not in PATHWAYS or (pathway != "slow" and len(self.features) == 1):
            known = PATHWAYS if len(self.features) > 1 else PATHWAYS[:1]
            raise ConfigError(f"pathway {pathway!r} is not one of this network's: {', '.join(known)}")
        chosen = {"slow": [0], "fast": [1], "both": [0, 1]}[pathway]
        return torch.stack([_over_clip(self.features[i], self.centres[i], self.clip_size) for i in chosen]).sum(0)


def activation_maps(
    model: nn.Module,
    clip: torch.Tensor,
    configuration: Configuration | None = None,
    classes: torch.Tensor | Sequence[int] | None = None,
    *,
    shared: tuple[torch.Tensor, ...] = (),
) -> ActivationMaps:
    """The maps of a batch at ``configuration``; the network's mode is restored, its weights gather no gradients.

    Args:
        model: a network of this package, of videos or images, that pools globally.
        clip: (N, C, T, H, W) float, normalised; of images (N, C, H, W).
        configuration: a calibrated member of the network's space; None = full.
        classes: one class for each clip; None = the one that the network takes it for.
        shared: see :meth:`AdaptiveNetwork.shared_features`.

    Raises:
        ConfigError: the network does not pool globally (detection pools in boxes).
        ConfigurationError: the configuration is outside the space.
        NotCalibratedError: it has no BatchNorm statistics.
        DataError: ``classes`` are not N classes of the network.
    """
    configuration = model.space.full if configuration is None else configuration
    known = {"shared": shared} if shared else {}
    with eval_mode(model), _features_before_pooling(model) as features, torch.no_grad():
        logits = model(clip, configuration, **known)
    classes = _checked_classes(classes, logits)
    with torch.enable_grad():
        chosen = logits.gather(1, classes[:, None]).sum()  # of clips that do not touch each other
        gradients = torch.autograd.grad(chosen, features)
    maps = []
    for feature, gradient in zip(features, gradients, strict=True):
        positions = tuple(range(2, feature.ndim))
        maps.append((gradient.sum(positions, keepdim=True) * feature.detach()).sum(1).float())
    if clip.ndim == 4:
        maps = [each[:, None] for each in maps]
    frames, (height, width) = _frames_seen(model, clip, configuration), clip.shape[-2:]
    centres = []
    for pathway, (seen, each) in enumerate(zip(frames, maps, strict=True)):
        views = [model.space.scaled_size(configuration, side) if pathway == 0 else side for side in (height, width)]
        rows, columns = map(_centres, each.shape[2:], views, (height, width))
        centres.append((seen, rows, columns))
    size = (clip.shape[2] if clip.ndim == 5 else 1, height, width)
    return ActivationMaps(configuration, logits.detach().float(), classes, tuple(maps), tuple(centres), size)


def check_pools_globally(model: nn.Module) -> None:
    """ConfigError where :func:`activation_maps` does not apply to ``model``."""
    _last_layer(model)


@contextlib.contextmanager
def _features_before_pooling(model: nn.Module) -> Iterator[list[torch.Tensor]]:
    """A list that a forward pass in ``no_grad`` fills: the last features, from which on gradients are recorded."""
    layer, gives = _last_layer(model)
    found: list[torch.Tensor] = []

    def begin(features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        found[:] = [feature.detach().requires_grad_() for feature in features]
        torch.set_grad_enabled(True)  # until the caller's no_grad ends: the backbone before needs no graph
        return list(found)

    def before(_layer: nn.Module, arguments: tuple) -> tuple:
        first, *others = arguments
        if isinstance(first, torch.Tensor):
            return (*begin([first]), *others)
        return (begin(first), *others)

    def after(_layer: nn.Module, _arguments: tuple, output: torch.Tensor) -> torch.Tensor:
        return begin([output])[0]

    handle = layer.register_forward_hook(after) if gives else layer.register_forward_pre_hook(before)
    try:
        yield found
    finally:
        handle.remove()


def _last_layer(model: nn.Module) -> tuple[nn.Module, bool]:
    """(layer, whether it gives the last features or takes them)."""
    head, pool = getattr(model, "head", None), getattr(model, "avgpool", None)
    if isinstance(head, X3DHead):
        return head.conv_5_relu, True
    if isinstance(head, BasicHead):
        return head, False
    if isinstance(pool, nn.AdaptiveAvgPool2d) and pool.output_size in (1, (1, 1)):  # ResNets and MobileNetV3 of images
        return pool, False
    if head is None and pool is None:
        for name in ("features", "relu"):  # MobileNetV1 and V2; wide ResNets
            if isinstance(getattr(model, name, None), nn.Module):
                return getattr(model, name), True
    raise ConfigError(
        f"{type(model).__name__} with {type(head or pool).__name__} has no class activation maps: they need a network "
        "that pools globally before it classifies; detection networks (DETECTION.ENABLE) pool in boxes"
    )


def _checked_classes(classes: torch.Tensor | Sequence[int] | None, logits: torch.Tensor) -> torch.Tensor:
    if classes is None:
        return logits.argmax(1)
    classes = torch.as_tensor(classes, device=logits.device)
    count, known = logits.shape
    if classes.shape != (count,) or classes.is_floating_point() or not bool(((classes >= 0) & (classes < known)).all()):
        raise DataError(f"classes {classes.tolist()} must be {count} whole numbers, one a clip, in 0..{known - 1}")
    return classes.long()


def _frames_seen(model: nn.Module, clip: torch.Tensor, configuration: Configuration) -> tuple[tuple[int, ...], ...]:
    """Frame numbers of the clip that each pathway keeps: the network's own rule, asked with frames that hold theirs."""
    if clip.ndim == 4:
        return ((0,),)
    numbers = torch.arange(clip.shape[2], dtype=torch.float32).view(1, 1, -1, 1, 1)
    views = model.pathways(numbers.expand(1, clip.shape[1], -1, 2, 2), configuration)
    return tuple(tuple(int(n) for n in view[0, 0, :, 0, 0].round()) for view in views)


def _centres(count: int, view: int, size: int) -> tuple[float, ...]:
    """Pixels of the clip, along a side of ``size``, at the middle of what ``count`` features see of a side of ``view``.

    Every layer of stride 2 has a padded kernel of odd size, so feature i of a total stride s looks at pixel s * i, not
    at the middle of the i-th of ``count`` equal parts: half a stride, 15 pixels of 224, lies between the two.
    """
    stride = 1
    while math.ceil(view / stride) > count:
        stride *= 2
    if math.ceil(view / stride) != count:
        raise ConfigError(f"{count} features over {view} pixels: only networks that halve their resolution are placed")
    return tuple((stride * i + 0.5) * size / view - 0.5 for i in range(count))


def _over_clip(maps: torch.Tensor, centres: Sequence[Sequence[float]], size: tuple[int, int, int]) -> torch.Tensor:
    """(N, t, h, w) to (N, T, H, W)."""
    time, rows, columns = (
        torch.from_numpy(np.stack([np.interp(np.arange(length), at, unit) for unit in np.eye(len(at))], 1)).to(maps)
        for length, at in zip(size, centres, strict=True)
    )
    return torch.einsum("Tt,Hh,Ww,nthw->nTHW", time, rows, columns, maps)
