"""Query tables of one small network, with the latencies of two devices."""

import hashlib

import mutualnet3d as mn
from mutualnet3d.latency import Latency, Setting
from mutualnet3d.query_table import Entry, QueryTable

A, B, C = (mn.Configuration(*c) for c in ((0.63, 142, 3), (0.8, 178, 5), (1.0, 224, 8)))
CPU, GPU = Setting("Größe | CPU", threads=2), Setting("NVIDIA, H100", precision="bfloat16")
HASH = hashlib.sha256(b"the model").hexdigest()


def plain(**provenance):
    """Three configurations, the larger the better, without latencies."""
    rows = ((A, 3.4, 60.0), (B, 20.0, 66.0), (C, 54.5, 70.0))
    entries = tuple(Entry(c, gmacs, 30.0, accuracy, 90.0) for c, gmacs, accuracy in rows)
    return QueryTable(entries, "top1", {"model_sha256": HASH, "space": {"width": [0.63, 1.0]}} | provenance)


def took(milliseconds, batch=1, **values):
    return Latency(milliseconds, 0.9 * milliseconds, 1.2 * milliseconds, 20, 3, batch, **values)


def on_cpu():
    return plain().with_latencies({A: took(9.0), B: took(40.0), C: took(80.0)}, CPU)


def on_gpu():
    return plain().with_latencies({A: took(2.0), C: took(1.5)}, GPU)
