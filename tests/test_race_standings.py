"""Who wins: hand-made curves, ranks and ties worked out by hand."""

import math

import numpy as np
import pytest

from jopt.experiments import standings
from jopt.experiments.standings import Entry, leaderboard


def entry(name, finals, tests=None, diverged=None):
    """An entry whose validation scores go from 0 to `finals`: (rates, seeds)."""
    finals = np.asarray(finals, float)
    shape = finals.shape
    return Entry(
        name=name,
        rates=tuple(10.0**-i for i in range(shape[0])),
        chains=tuple(f"{name}({i})" for i in range(shape[0])),
        train=np.ones((*shape, 2)),
        valid=np.stack([np.zeros(shape), finals / 2, finals], -1),
        test=finals if tests is None else np.asarray(tests, float),
        diverged=np.zeros(shape, bool) if diverged is None else np.asarray(diverged),
        state_bytes=4.0,
        compile_seconds=1.0,
        run_seconds=1.0,
    )


def board(*entries, higher=True, target=0.5):
    return leaderboard(entries, (0, 5, 10), higher, target)


def test_rate_is_chosen_on_validation_and_reported_on_test():
    [row] = board(entry("a", [[0.8, 0.8], [0.9, 0.9]], tests=[[1.0, 1.0], [0.2, 0.4]]))
    assert (row.rate, row.chain) == (0.1, "a(1)")
    assert row.test == pytest.approx(0.3)
    assert row.sd == pytest.approx(math.sqrt(2) / 10)


def test_lower_is_better_for_losses():
    rows = board(entry("a", [[0.8]]), entry("b", [[0.2]]), higher=False)
    assert [row.name for row in rows] == ["b", "a"]


def test_tie_within_the_standard_error():
    # sd 0.1 each over two seeds: the standard error of the difference is 0.1
    near, far = entry("near", [[0.71, 0.57]]), entry("far", [[0.6, 0.46]])
    rows = board(entry("first", [[0.8, 0.66]]), near, far)
    assert [(row.name, row.rank, row.tied) for row in rows] == [
        ("first", 1, True),
        ("near", 1, True),
        ("far", 3, False),
    ]


def test_no_tie_beyond_it():
    rows = board(entry("a", [[0.9, 0.9]]), entry("b", [[0.8, 0.8]]))
    assert [row.rank for row in rows] == [1, 2]


def test_rate_with_one_diverged_seed_scores_last():
    marks = [[True, False], [False, False]]
    [row] = board(entry("a", [[0.9, 0.9], [0.5, 0.5]], diverged=marks))
    assert (row.rate, row.diverged) == (0.1, 1)


def test_nothing_but_divergence_comes_last():
    wild = entry("wild", [[np.nan]], diverged=[[True]])
    rows = board(wild, entry("a", [[0.1]]))
    assert [row.name for row in rows] == ["a", "wild"]
    assert rows[1].rate is None


def test_steps_to_target_is_the_mean_over_seeds():
    [row] = board(entry("a", [[1.0, 0.6]]))
    assert row.steps_to_target == 7.5  # 0.5 at step 5, 0.6 at step 10


def test_target_out_of_reach_of_one_seed():
    [row] = board(entry("a", [[1.0, 0.4]]))
    assert row.steps_to_target is None


def test_robust_share_counts_rates_within_one_percent():
    [row] = board(entry("a", [[0.5], [1.0], [0.995], [0.98]]))
    assert row.robust == 0.5


def test_best_rate_at_the_edge_is_marked():
    edge, inside = entry("edge", [[1.0], [0.5]]), entry("in", [[0.5], [1.0], [0.5]])
    assert [row.at_edge for row in board(edge, inside)] == [True, False]


@pytest.mark.parametrize(("higher", "target"), [(True, 0.95), (False, 0.19)])
def test_default_target_is_most_of_the_way_to_the_best(higher, target):
    entries = [entry("a", [[1.0], [0.2]])]
    assert standings.default_target(entries, higher) == pytest.approx(target)


def test_single_seed_has_no_deviation_and_no_ties():
    rows = board(entry("a", [[0.9]]), entry("b", [[0.8999]]))
    assert [row.rank for row in rows] == [1, 2]
    assert math.isnan(rows[0].sd)
