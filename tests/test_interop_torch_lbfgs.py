"""PyTorch's L-BFGS: its numbers, against PyTorch where it is installed."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt
from jopt.interop import torch

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(40, 4))
SIGNS = np.where(ROWS @ [1.0, -2.0, 0.5, 0.0] + RNG.normal(size=40) > 0, 1.0, -1.0)
BENDS = np.geomspace(1.0, 300.0, 6)


def rosenbrock(p, lib):
    (x,) = p.values()
    return lib.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def logistic(p, lib):
    rows, signs = constant(ROWS, lib), constant(SIGNS, lib)
    margins = signs * (rows @ p["w"] + p["b"][0, 0])
    losses = lib.log1p(lib.exp(-margins))
    return lib.mean(losses) + 0.01 * lib.sum(p["w"] ** 2)


def quadratic(p, lib):
    (x,) = p.values()
    return 0.5 * lib.sum(constant(BENDS, lib) * x * x) - lib.sum(x)


def constant(array, lib):
    return jnp.asarray(array) if lib is jnp else lib.from_numpy(array)


# the loss, where it begins, and a rate that no search goes by
PROBLEMS = {
    "rosenbrock": (rosenbrock, {"x": np.tile([-1.2, 1.0], 5)}, 0.3),
    "logistic": (logistic, {"b": np.zeros((1, 1)), "w": np.ones(4)}, 1.0),
    "quadratic": (quadratic, {"x": np.ones(6)}, 0.5),
}
STEPS = 4
SEARCHES = [None, "strong_wolfe"]
RARE = ft.partial(pytest.param, marks=pytest.mark.slow)


def ours(problem, steps=STEPS, **settings):
    """The parameters after each step, and the state after the last."""
    loss, first, _ = PROBLEMS[problem]
    with jax.enable_x64(True):
        step = jopt.make_step(ft.partial(loss, lib=jnp), torch.LBFGS(**settings))
        p = jax.tree.map(jnp.asarray, first)
        state, path = step.tx.init(p), []
        for _ in range(steps):
            p, state, _ = step(p, state)
            path.append(jax.tree.map(np.asarray, p))
    return path, jax.tree.map(np.asarray, state)


def theirs(problem, steps=STEPS, **settings):
    pytorch = pytest.importorskip("torch")
    loss, first, _ = PROBLEMS[problem]
    p = {k: pytorch.tensor(v, requires_grad=True) for k, v in first.items()}
    optimizer = pytorch.optim.LBFGS(list(p.values()), **settings)

    def closure():
        optimizer.zero_grad()
        value = loss(p, pytorch)
        value.backward()
        return value

    path = []
    for _ in range(steps):
        optimizer.step(closure)
        path.append({k: x.detach().numpy().copy() for k, x in p.items()})
    return path, optimizer.state[next(iter(p.values()))]


def error(path, other):
    """The largest difference, relative to the largest number of the step."""
    worst = 0.0
    for a, b in zip(path, other, strict=True):
        size = max(np.abs(x).max() for x in b.values())
        gaps = (np.abs(a[k] - b[k]).max() for k in b)
        worst = max(worst, max(gaps) / size)
    return worst


def compared(problem, **settings):
    """Both runs agree in parameters and counts; the state here."""
    path, state = ours(problem, **settings)
    other, kept = theirs(problem, **settings)
    assert error(path, other) < 1e-9
    assert state.func_evals == kept["func_evals"]
    assert state.n_iter == kept["n_iter"]
    return state, kept


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("iterations", [RARE(1), RARE(5), 20])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_numbers_are_those_of_pytorch(problem, iterations, search):
    rate = 1.0 if search else PROBLEMS[problem][2]
    settings = {"lr": rate, "max_iter": iterations, "history_size": 7}
    compared(problem, line_search_fn=search, **settings)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_short_history_forgets_the_oldest(search):
    settings = {"max_iter": 5, "history_size": 2, "line_search_fn": search}
    state, _ = compared("quadratic", lr=0.5, **settings)
    assert state.pairs == 2


@pytest.mark.parametrize("search", SEARCHES)
def test_the_state_is_that_of_pytorch(search):
    settings = {"lr": 0.5, "max_iter": 3, "max_eval": 9, "line_search_fn": search}
    state, kept = compared("quadratic", **settings)
    assert state.t == pytest.approx(kept["t"], rel=1e-9)
    assert state.h_diag == pytest.approx(float(kept["H_diag"]), rel=1e-9)
    for ours, theirs in ((state.d, "d"), (state.prev_flat_grad, "prev_flat_grad")):
        np.testing.assert_allclose(ours["x"], kept[theirs], rtol=1e-6, atol=1e-9)
    n = int(state.pairs)
    for ours, theirs in ((state.old_dirs["x"], "old_dirs"), (state.ro, "ro")):
        want = np.stack([np.asarray(x) for x in kept[theirs]])
        np.testing.assert_allclose(ours[:n], want, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"max_eval": 4},
        {"max_eval": 1, "max_iter": 3},
        {"tolerance_grad": 10.0},
        {"tolerance_change": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("search", SEARCHES)
def test_it_stops_where_pytorch_stops(settings, search):
    rate = 0.3 if search is None else 1.0
    compared("quadratic", line_search_fn=search, **({"lr": rate} | settings))


def test_where_the_gradient_is_small_at_once_only_evaluations_count():
    path, state = ours("quadratic", steps=2, tolerance_grad=1e6)
    assert (path[-1]["x"] == 1.0).all()
    assert (int(state.func_evals), int(state.n_iter)) == (2, 0)


# -- without PyTorch -----------------------------------------------------------------


# A rate, and where a step of 3 iterations ends on x^4 + y^2 from (1, -1): PyTorch 2.13
STORED = {
    None: (1.0, [0.16154812817846242, -0.0036376815621204095]),
    "strong_wolfe": (4.0, [-0.15205717187146656, -0.005915811684438651]),
}


@pytest.mark.parametrize("search", SEARCHES)
def test_a_stored_step(search):
    rate, there = STORED[search]
    tx = torch.LBFGS(rate, 3, 9, line_search_fn=search)
    with jax.enable_x64(True):
        step = jopt.make_step(lambda p: p[0] ** 4 + p[1] ** 2, tx)
        p = jnp.array([1.0, -1.0])
        p, _, _ = step(p, tx.init(p))
    np.testing.assert_allclose(p, there, rtol=1e-12)


@pytest.mark.parametrize("search", SEARCHES)
def test_mapped_over_starts_it_is_each_of_them(search):
    tx = torch.LBFGS(0.5, max_iter=5, history_size=3, line_search_fn=search)
    with jax.enable_x64(True):
        loss = ft.partial(rosenbrock, lib=jnp)
        starts = jnp.asarray(RNG.normal(size=(3, 4)))

        def moved(x):
            p = {"x": x}
            extra = {"value_fn": loss, "grad_fn": jax.grad(loss)}
            return tx.update(jax.grad(loss)(p), tx.init(p), p, **extra)[0]["x"]

        together = jax.jit(jax.vmap(moved))(starts)
        alone = jnp.stack(list(map(jax.jit(moved), starts)))
    np.testing.assert_allclose(together, alone, rtol=1e-9)


def test_a_search_turns_back_where_the_loss_is_not_finite():
    loss = lambda p: p[0] - jnp.log(p[0])  # noqa: E731
    tx = torch.LBFGS(lr=8.0, line_search_fn="strong_wolfe")
    step, p = jopt.make_step(loss, tx), jnp.array([4.0])
    p, _, _ = step(p, tx.init(p))
    np.testing.assert_allclose(p, 1.0, rtol=1e-3)


def test_after_a_gradient_that_is_no_number_it_goes_on():
    loss = lambda p: jnp.sum((p - 1.0) ** 4)  # noqa: E731
    tx, p = torch.LBFGS(max_iter=3), jnp.array([3.0, 0.0])
    extra = {"value_fn": loss, "grad_fn": jax.grad(loss)}
    _, state = tx.update(p * jnp.nan, tx.init(p), p, **extra)
    assert all(jnp.isfinite(x).all() for x in (state.old_dirs, state.ro, state.h_diag))
    u, state = tx.update(jax.grad(loss)(p), state, p, **extra)
    assert loss(p + u) < loss(p)


@pytest.mark.parametrize(
    "settings, error, message",
    [
        ({"line_search_fn": "wolfe"}, ValueError, "`line_search_fn` must be one of"),
        ({"max_iter": 0}, ValueError, "`max_iter`"),
        ({"max_eval": 0}, ValueError, "`max_eval`"),
        ({"lr": -1.0}, ValueError, "`lr` must lie in"),
    ],
)
def test_wrong_arguments_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        torch.LBFGS(**settings)


def test_a_saved_state_is_refused():
    p = {"x": jnp.zeros(3)}
    saved = {"state": {0: {"func_evals": 3, "n_iter": 2, "d": np.zeros(3)}}}
    with pytest.raises(ValueError, match="LBFGS"):
        torch.load_state(saved, torch.LBFGS(), p, name_map=["x"])
