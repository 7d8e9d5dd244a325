"""Losses: against scipy and PyTorch."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import optimize

import jopt

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.standard_normal((4, 6, 5)).astype(np.float32)
LABELS = RANDOM.integers(0, 5, (4, 6)).astype(np.int32)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 7), (5, 12)])
@pytest.mark.parametrize("weighted", [False, True])
def test_wasserstein_is_that_of_scipy(n, m, weighted):
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(n + m)
    samples = [random.standard_normal(k).round(1) for k in (n, m)]
    weights = [random.uniform(0, 1, k) for k in (n, m)] if weighted else [None, None]
    with jax.enable_x64(True):
        given = [w if w is None else jnp.asarray(w) for w in weights]
        ours = float(jopt.wasserstein_1d(*map(jnp.asarray, samples), *given))
    theirs = stats.wasserstein_distance(*samples, *weights)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_wasserstein_has_derivatives():
    x, y = jnp.array([0.1, 0.9, -0.4]), jnp.array([0.3, -0.2])
    w = jnp.array([0.25, 0.45, 0.3])
    with jax.enable_x64(True):
        x, y, w = (jnp.asarray(np.asarray(a, np.float64)) for a in (x, y, w))
        check_grads(jopt.wasserstein_1d, (x, y, w), order=1)


def test_sliced_wasserstein_in_one_dimension_is_exact():
    x, y = jnp.array([0.0, 1.0, 5.0]), jnp.array([2.0, 3.0])
    sliced = jopt.sliced_wasserstein(x[:, None], y[:, None], jax.random.key(0), 3)
    np.testing.assert_allclose(sliced, jopt.wasserstein_1d(x, y), rtol=1e-6)


def test_sliced_wasserstein_of_the_same_is_0():
    x = jnp.asarray(LOGITS[0])
    assert jopt.sliced_wasserstein(x, x[::-1], jax.random.key(0)) == 0.0


@pytest.mark.parametrize("beta", [0.0, 1 / 9, 1.0])
def test_smooth_l1_is_that_of_pytorch(beta):
    torch = pytest.importorskip("torch")
    x, y = LOGITS[0], LOGITS[1]
    f = torch.nn.functional.smooth_l1_loss
    theirs = f(torch.tensor(x), torch.tensor(y), beta=beta, reduction="none")
    ours = jopt.smooth_l1_loss(jnp.asarray(x), jnp.asarray(y), beta)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_sequence_cross_entropy_is_that_of_pytorch(smoothing):
    torch = pytest.importorskip("torch")
    labels = np.where(LABELS == 2, -100, LABELS)
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(LOGITS).reshape(-1, 5),
        torch.tensor(labels).long().reshape(-1),
        label_smoothing=smoothing,
    )
    ours = jopt.sequence_cross_entropy(
        jnp.asarray(LOGITS), jnp.asarray(labels), label_smoothing=smoothing
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_mask_is_the_same_as_labels_left_out():
    mask = jnp.asarray(LABELS != 2)
    labels = jnp.asarray(np.where(LABELS == 2, -100, LABELS))
    one = jopt.sequence_cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS), mask)
    other = jopt.sequence_cross_entropy(jnp.asarray(LOGITS), labels)
    assert one == other


def test_no_label_that_counts_is_no_loss():
    labels = jnp.full((4, 6), -100)
    assert jopt.sequence_cross_entropy(jnp.asarray(LOGITS), labels) == 0.0


def test_nan_where_no_label_counts_does_not_show():
    logits = jnp.asarray(LOGITS).at[0, 0].set(jnp.nan)
    labels = jnp.asarray(LABELS).at[0, 0].set(-100)
    assert jnp.isfinite(jopt.sequence_cross_entropy(logits, labels))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_is_its_formula(gamma):
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    p = np.take_along_axis(p, LABELS[..., None], -1)[..., 0]
    weights = np.array([1.0, 2.0, 0.5, 1.0, 3.0], np.float32)
    ours = jopt.softmax_focal_loss(
        jnp.asarray(LOGITS), jnp.asarray(LABELS), gamma, jnp.asarray(weights)
    )
    expected = -weights[LABELS] * (1 - p) ** gamma * np.log(p)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_the_certain_has_a_slope(gamma):
    def f(logits):
        return jopt.softmax_focal_loss(logits, jnp.array([0]), gamma).sum()

    assert jnp.isfinite(jax.grad(f)(jnp.array([[200.0, 0.0]]))).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="without its last axis"):
        jopt.softmax_focal_loss(jnp.zeros((2, 3)), jnp.zeros(3, jnp.int32))


def test_samples_of_several_numbers_are_sent_on():
    with pytest.raises(ValueError, match="sliced_wasserstein"):
        jopt.wasserstein_1d(jnp.zeros((2, 3)), jnp.zeros(3))


@pytest.mark.slow
def test_sinkhorn_divergence_tends_to_the_best_assignment():
    x, y = np.random.default_rng(0).normal(size=(2, 12, 2))
    square = ((x[:, None] - y) ** 2).sum(axis=2)
    best = square[optimize.linear_sum_assignment(square)].mean()
    with jax.enable_x64(True):
        ours = jopt.sinkhorn_divergence(jnp.asarray(x), jnp.asarray(y), epsilon=3e-3)
    np.testing.assert_allclose(ours, best, rtol=0.01)


@pytest.mark.slow
def test_sinkhorn_divergence_is_flat_where_the_clouds_are_the_same():
    x = jax.random.normal(jax.random.key(0), (8, 2))
    value, slope = jax.value_and_grad(jopt.sinkhorn_divergence)(x, x)
    np.testing.assert_allclose(value, 0.0, atol=1e-4)
    np.testing.assert_allclose(slope, jnp.zeros_like(x), atol=1e-3)


def test_sinkhorn_divergence_without_rounds_enough_is_nan():
    x, y = jax.random.normal(jax.random.key(0), (2, 6, 2))
    assert jnp.isnan(jopt.sinkhorn_divergence(x, y, epsilon=1e-3, rounds=20))


@pytest.mark.slow
def test_weights_of_sinkhorn_divergence_are_repetitions():
    x, y = jax.random.normal(jax.random.key(0), (2, 6, 2))
    twice = jnp.concatenate([x, x[:2]])
    weights = jnp.array([2.0, 2.0, 1.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(
        jopt.sinkhorn_divergence(x, y, weights, epsilon=0.5),
        jopt.sinkhorn_divergence(twice, y, epsilon=0.5),
        rtol=1e-3,
    )


def test_sinkhorn_divergence_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "ott.geometry.pointcloud", None)
    with pytest.raises(ImportError, match="transport"):
        jopt.sinkhorn_divergence(jnp.zeros((2, 2)), jnp.zeros((2, 2)))


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan")])
def test_sinkhorn_divergence_needs_some_entropy(epsilon):
    with pytest.raises(ValueError, match="above 0"):
        jopt.sinkhorn_divergence(jnp.zeros((2, 2)), jnp.zeros((2, 2)), epsilon=epsilon)
