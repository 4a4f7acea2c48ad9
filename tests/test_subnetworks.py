"""Sub-networks that are built once and kept within a bound."""

import threading
import time

import pytest

import mutualnet3d as mn
from mutualnet3d.subnetworks import SubNetworks

A, B, C = (mn.Configuration(1.0, size, 4) for size in (20, 24, 32))


def test_built_once_and_the_least_recently_used_is_dropped():
    built = []
    store = SubNetworks(lambda c: built.append(c) or f"runner {c}", capacity=2)
    assert store.cost().median_ms == 0.0
    assert store.get(A)[0] == f"runner {A}"
    assert store.get(A) == (f"runner {A}", 0.0)
    store.get(B), store.get(A), store.get(C)  # B was used longest ago
    assert built == [A, B, C]
    assert len(store) == 2
    assert store.get(A)[1] == 0.0
    assert store.get(B)[1] > 0.0
    assert built == [A, B, C, B]
    assert (store.cost().built, store.cost().dropped) == (4, 2)


def test_the_cost_is_the_time_of_building():
    waits = iter((0.02, 0.06, 0.04))
    store = SubNetworks(lambda c: time.sleep(next(waits)) or c, capacity=3)
    assert [round(store.get(c)[1] / 20) for c in (A, B, C)] == [1, 3, 2]
    cost = store.cost()
    assert 40 <= cost.median_ms < 60 <= cost.longest_ms


def test_many_threads_at_once_build_one():
    gate, built, got = threading.Barrier(8), [], []

    def build(configuration):
        time.sleep(0.05)
        built.append(configuration)
        return object()

    store = SubNetworks(build, capacity=1)

    def work():
        gate.wait()
        got.append(store.get(A))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [A]
    assert len({id(runner) for runner, _ in got}) == 1
    assert all(waited > 0 for _, waited in got)


def test_what_is_there_does_not_wait_for_what_is_built():
    release = threading.Event()
    store = SubNetworks(lambda c: c == A or release.wait(10), capacity=2)
    store.get(A)
    builder = threading.Thread(target=store.get, args=(B,))
    builder.start()
    try:
        assert store.get(A)[1] == 0.0
    finally:
        release.set()
        builder.join()
    assert len(store) == 2


def test_a_failed_building_is_tried_again():
    answers = iter((RuntimeError("no memory"), "runner"))

    def build(_):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    store = SubNetworks(build, capacity=1)
    with pytest.raises(RuntimeError, match="no memory"):
        store.get(A)
    assert len(store) == 0
    assert store.get(A)[0] == "runner"
    assert store.cost().built == 1


@pytest.mark.parametrize("capacity", [0, -1, True, 2.0])
def test_bounds(capacity):
    with pytest.raises(ValueError, match="max_networks"):
        SubNetworks(lambda c: c, capacity)
