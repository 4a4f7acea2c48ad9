"""What metrics are called where people read."""

_NAMES = {"top1": "top-1", "top5": "top-5", "map": "mAP"}


def metric_name(metric: str) -> str:
    """``top-1`` for ``top1``, ``mAP`` for ``map``; others as they are."""
    return _NAMES.get(metric, metric)
