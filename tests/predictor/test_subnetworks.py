"""Sub-networks under many threads: built once each, bounded, never a lock around a forward pass."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.errors import DeploymentError
from mutualnet3d.predictor.subnetworks import SubNetworks

A, B, C = (mn.Configuration(width, 32, 4) for width in (0.63, 0.8, 1.0))
WAIT = 20  # seconds until a test that hangs fails


def counting(built):
    def build(configuration):
        built.append(configuration)
        return lambda views: configuration

    return build


def test_each_is_built_once_and_the_least_recently_used_makes_room():
    built = []
    networks = SubNetworks(counting(built), 2)
    for configuration in (A, B, A, B):
        networks.get(configuration)
    networks.get(A)
    networks.get(C)  # B is the one that was not used for longest
    assert (built, len(networks)) == ([A, B, C], 2)
    assert networks.get(A)[1] == networks.get(C)[1] == 0.0
    assert networks.get(B)[1] > 0.0
    assert built == [A, B, C, B]
    cost = networks.cost()
    assert (cost.built, cost.converts) == (4, False)
    assert SubNetworks(counting([]), 1, converts=True).cost().converts
    assert cost.median_ms > 0


@pytest.mark.parametrize("capacity", [0, -1, True, 1.0, None])
def test_capacity_is_a_whole_number(capacity):
    with pytest.raises(ValueError, match="must be a whole number of at least 1"):
        SubNetworks(counting([]), capacity)


def test_a_failed_build_is_tried_again():
    outcomes = [OSError("disk"), lambda views: 1]

    def build(configuration):
        outcome = outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    networks = SubNetworks(build, 1)
    with pytest.raises(OSError, match="disk"):
        networks.get(A)
    assert networks.cost().built == 0
    assert networks.get(A)[0](()) == 1


def test_those_that_wait_for_one_build_get_its_result():
    built, begun = [], threading.Event()

    def build(configuration):
        built.append(configuration)
        begun.set()
        time.sleep(0.05)
        return object()

    networks = SubNetworks(build, 2)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: networks.get(A), range(8)))
    assert built == [A]
    assert len({id(runner) for runner, _ in got}) == 1
    assert all(waited > 0 for _, waited in got)


def test_building_one_does_not_hold_up_another_that_is_there():
    begun, go_on = threading.Event(), threading.Event()

    def build(configuration):
        if configuration == B:
            begun.set()
            assert go_on.wait(WAIT)
        return configuration

    networks = SubNetworks(build, 2)
    networks.get(A)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(networks.get, B)
        assert begun.wait(WAIT)
        assert networks.get(A) == (A, 0.0)
        go_on.set()
        assert pending.result(WAIT)[0] == B


def test_no_lock_around_forwards(tiny_export):
    """Two predictions meet inside their networks."""
    predictor = mn.AdaptivePredictor.load(tiny_export, threads=1)
    entries = predictor.table.entries[:2]
    meeting = threading.Barrier(2, timeout=WAIT)

    class Meets:
        def __init__(self, run):
            self.run = run

        def __call__(self, *inputs):
            meeting.wait()
            return self.run(*inputs)

    predictor._networks = SubNetworks(lambda c: Meets(predictor.deployment.build(c)), 2)
    frames = np.zeros((4, 40, 40, 3), np.uint8)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(predictor.predict_clip, frames, configuration=e.configuration) for e in entries]
        assert [each.result(WAIT).entry for each in both] == list(entries)


@pytest.mark.parametrize("max_networks", [8, 2])
def test_many_threads_give_what_one_gives(tiny_export, tiny_run, max_networks):
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (4, 40, 44, 3), dtype=np.uint8) for _ in range(3)]
    for directory in (tiny_export, tiny_run):
        alone = mn.AdaptivePredictor.load(directory, threads=1, max_networks=8)
        jobs = [(clip, e.configuration) for clip in clips for e in alone.table.entries] * 2
        rng.shuffle(jobs)
        expected = [alone.predict_clip(clip, configuration=c).scores for clip, c in jobs]
        shared = mn.AdaptivePredictor.load(directory, threads=1, max_networks=max_networks)
        with ThreadPoolExecutor(8) as pool:
            pending = [pool.submit(shared.predict_clip, clip, configuration=c) for clip, c in jobs]
        for job, scores in zip(pending, expected, strict=True):
            assert torch.equal(job.result().scores, scores)
        assert len(shared._networks) == max_networks
        if max_networks == 8:
            assert shared.switching.built == 8


def test_warming_builds_ahead(tiny_export):
    predictor = mn.AdaptivePredictor.load(tiny_export, max_networks=8)
    predictor.warm(entry.configuration for entry in predictor.table.entries)
    assert predictor.switching.built == 8
    prediction = predictor.predict_clip(np.zeros((4, 40, 40, 3), np.uint8))
    assert prediction.times.switch_ms == 0
    with pytest.raises(DeploymentError, match=r"8 sub-networks .* max_networks is 4; load with max_networks=8"):
        mn.AdaptivePredictor.load(tiny_export).warm(predictor.deployment.configurations)
    by_budget = mn.AdaptivePredictor.load(tiny_export, max_networks=8)
    by_budget.warm()
    for entry in by_budget.table.entries:
        chosen = by_budget.choose(max_gmacs=entry.gmacs).configuration
        assert by_budget.predict_clip(np.zeros((4, 40, 40, 3), np.uint8), configuration=chosen).times.switch_ms == 0
    with pytest.raises(mn.ConfigurationError, match="not a Configuration in the query table"):
        predictor.warm([mn.Configuration(0.7, 32, 4)])
