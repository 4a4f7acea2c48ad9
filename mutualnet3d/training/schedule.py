"""PySlowFast's learning-rate policies, with the keys that pyslowfast 1.0 lacks."""

from __future__ import annotations

import math

from mutualnet3d.errors import ConfigError


def learning_rate(cfg, epoch: float) -> float:
    """The learning rate at a fractional ``epoch`` (epoch + iteration / iterations per epoch).

    Linear warm-up from SOLVER.WARMUP_START_LR to the policy's value at SOLVER.WARMUP_EPOCHS, then SOLVER.LR_POLICY:
    ``cosine`` (COSINE_END_LR, COSINE_AFTER_WARMUP) or ``steps_with_relative_lrs`` (STEPS, LRS).
    """
    solver = cfg.SOLVER
    if solver.LR_POLICY not in _POLICIES:
        raise ConfigError(f"SOLVER.LR_POLICY {solver.LR_POLICY!r} is not one of {', '.join(_POLICIES)}")
    policy = _POLICIES[solver.LR_POLICY]
    if epoch >= solver.WARMUP_EPOCHS:
        return policy(solver, epoch)
    end = policy(solver, solver.WARMUP_EPOCHS)
    return solver.WARMUP_START_LR + (end - solver.WARMUP_START_LR) * epoch / solver.WARMUP_EPOCHS


def _cosine(solver, epoch: float) -> float:
    offset = solver.WARMUP_EPOCHS if solver.COSINE_AFTER_WARMUP else 0.0
    if offset >= solver.MAX_EPOCH:
        raise ConfigError(f"SOLVER.WARMUP_EPOCHS {offset} must be below SOLVER.MAX_EPOCH {solver.MAX_EPOCH}")
    progress = (epoch - offset) / (solver.MAX_EPOCH - offset)
    return solver.COSINE_END_LR + (solver.BASE_LR - solver.COSINE_END_LR) * (math.cos(math.pi * progress) + 1) / 2


def _steps_with_relative_lrs(solver, epoch: float) -> float:
    passed = [i for i, step in enumerate(solver.STEPS) if epoch >= step]
    return solver.BASE_LR * solver.LRS[passed[-1] if passed else 0]


_POLICIES = {"cosine": _cosine, "steps_with_relative_lrs": _steps_with_relative_lrs}
