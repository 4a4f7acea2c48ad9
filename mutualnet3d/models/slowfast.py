"""SlowFast (arXiv 1812.03982) with Adaptive Fusion: the Slow pathway is slimmable, the Fast pathway always whole."""

from __future__ import annotations

import torch
from torch import nn

from mutualnet3d.errors import ConfigError
from mutualnet3d.layers import Channels, make_slimmable
from mutualnet3d.models.fusion import AdaptiveFusion
from mutualnet3d.models.resnet import BranchRule, build_stage, check_resnet, initialise, pyslowfast_blocks, run_pathway
from mutualnet3d.models.slow import build_head
from mutualnet3d.models.video_network import VideoNetwork

TEMPORAL_KERNELS = {1: (1, 5), 2: (1, 3), 3: (1, 3), 4: (3, 3), 5: (3, 3)}


class SlowFastBackbone(nn.Module):
    """The ordinary network: ``forward(slow, fast)`` -> logits (N, K).

    slow is (N, C, t, h, w), fast (N, C, T, H, W). Of a sub-network only the Slow view and its channels are smaller.
    """

    def __init__(self, cfg):
        super().__init__()
        check_resnet(cfg)
        _, stem_helper, _ = pyslowfast_blocks()
        width, inner = cfg.RESNET.WIDTH_PER_GROUP, cfg.RESNET.NUM_GROUPS * cfg.RESNET.WIDTH_PER_GROUP
        beta, ratio = cfg.SLOWFAST.BETA_INV, cfg.SLOWFAST.FUSION_CONV_CHANNEL_RATIO
        if width % beta or inner % beta:
            raise ConfigError(f"RESNET.WIDTH_PER_GROUP {width} must be a multiple of SLOWFAST.BETA_INV {beta}")
        self.s1 = stem_helper.VideoModelStem(
            dim_in=cfg.DATA.INPUT_CHANNEL_NUM,
            dim_out=[width, width // beta],
            kernel=[[kernel, 7, 7] for kernel in TEMPORAL_KERNELS[1]],
            stride=[[1, 2, 2]] * 2,
            padding=[[kernel // 2, 3, 3] for kernel in TEMPORAL_KERNELS[1]],
        )
        slow, fast = width, width // beta
        for stage in (2, 3, 4, 5):
            fusion = AdaptiveFusion(fast, ratio, cfg.SLOWFAST.FUSION_KERNEL_SZ, cfg.SLOWFAST.ALPHA)
            self.add_module(f"s{stage - 1}_fuse", fusion)
            scale = 2 ** (stage - 2)
            dim_in = [slow + ratio * fast, fast]
            slow, fast = 4 * width * scale, 4 * width * scale // beta
            if dim_in[0] == slow and cfg.RESNET.SPATIAL_STRIDES[stage - 2][0] == 1:
                raise ConfigError(
                    f"stage {stage} would add its {slow} fused input channels to its output, which slims differently; "
                    "change SLOWFAST.BETA_INV or SLOWFAST.FUSION_CONV_CHANNEL_RATIO"
                )
            dim_inner = [inner * scale, inner * scale // beta]
            kernels = [[kernel] for kernel in TEMPORAL_KERNELS[stage]]
            self.add_module(f"s{stage}", build_stage(cfg, stage, dim_in, [slow, fast], dim_inner, kernels))
        self.head = build_head(cfg, [slow, fast])
        initialise(self, cfg)

    def forward(
        self, slow: torch.Tensor, fast: torch.Tensor, boxes: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> torch.Tensor:
        return self.slow_pathway(slow, self.fast_pathway(fast), boxes)

    def fast_pathway(self, fast: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The four lateral features at full resolution, then the last Fast features: no configuration changes them."""
        fast = self.s1.pathway1_stem(fast)
        laterals = []
        for fusion, stage in self._fusions_and_stages():
            laterals.append(fusion.lateral(fast))
            fast = run_pathway(stage, 1, fast)
        return (*laterals, fast)

    def slow_pathway(
        self,
        slow: torch.Tensor,
        shared: tuple[torch.Tensor, ...],
        boxes: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Logits from the Slow view and what :meth:`fast_pathway` made of the Fast view."""
        *laterals, fast = shared
        slow = self.s1.pathway0_stem(slow)
        for (fusion, stage), lateral in zip(self._fusions_and_stages(), laterals, strict=True):
            slow = run_pathway(stage, 0, fusion(slow, lateral))
        return self.head([slow, fast], boxes)

    def _fusions_and_stages(self) -> list[tuple[nn.Module, nn.Module]]:
        return [(self.s1_fuse, self.s2), (self.s2_fuse, self.s3), (self.s3_fuse, self.s4), (self.s4_fuse, self.s5)]


class SlowFast(VideoNetwork, SlowFastBackbone):
    """SlowFast at any configuration of its space, with PySlowFast's parameter names.

    Args:
        cfg: a PySlowFast config with MODEL.ARCH ``slowfast``.
    """

    dense_class = SlowFastBackbone
    has_fast_pathway = True

    def __init__(self, cfg):
        super().__init__(cfg)
        self.configure(cfg)
        self.alpha = cfg.SLOWFAST.ALPHA
        fused = {"head.projection": self.s5.pathway1_res0.branch2.c.out_channels}
        for stage in (2, 3, 4, 5):
            lateral = getattr(self, f"s{stage - 1}_fuse").conv_f2s.out_channels
            for layer in ("branch1", "branch2.a"):
                fused[f"s{stage}.pathway0_res0.{layer}"] = lateral
        make_slimmable(self, SlowFastRule(BranchRule(self.space.divisor, cfg.RESNET.NUM_GROUPS, fused)))


class SlowFastRule:
    """The Slow pathway and the classifier follow the branch rule. The Fast pathway and the lateral convolutions stay
    ordinary; their BatchNorms keep all channels but, as all others, statistics per configuration."""

    def __init__(self, slow_rule: BranchRule):
        self.slow_rule = slow_rule

    def __call__(self, name: str, layer: nn.Module):
        if ".pathway0_" in name or name.startswith("head."):
            return self.slow_rule(name, layer)
        return Channels.fixed(layer.num_features) if isinstance(layer, nn.BatchNorm3d) else None
