"""Second-order methods: against SciPy and PyTorch, and where things go wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize as so
from sklearn.datasets import load_breast_cancer

import jopt

BACKTRACK = jopt.scale_by_backtracking_linesearch
ZOOM = jopt.scale_by_zoom_linesearch
X, Y = load_breast_cancer(return_X_y=True)
X, Y = (X - X.mean(0)) / X.std(0), 1.0 * Y


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def curve(p):
    """Residuals of a fit of two exponentials."""
    t = jnp.linspace(0.0, 4.0, 30)
    target = 3.0 * jnp.exp(-0.4 * t) + jnp.exp(-2.0 * t) + 0.01 * jnp.sin(9.0 * t)
    return p[0] * jnp.exp(-p[1] * t) + p[2] * jnp.exp(-p[3] * t) - target


def half_of_squares(p):
    return jnp.sum(curve(p) ** 2) / 2


def logits(w):
    return jnp.asarray(X) @ w, w


def outer(out):
    """Cross entropy of the logits and a penalty of the weights."""
    z, w = out
    return jnp.mean(jnp.logaddexp(0.0, z) - jnp.asarray(Y) * z) + 0.005 * jnp.sum(w**2)


def logistic(w):
    return outer(logits(w))


PROBLEMS = {
    "rosenbrock": (rosenbrock, -np.ones(6)),
    "least squares": (half_of_squares, np.array([2.0, 0.3, 2.0, 1.5])),
    "logistic": (logistic, np.zeros(30)),
}


def path(tx, loss, first, steps, **extra):
    """The parameters after each step."""
    first = jnp.asarray(first)

    def step(carry, _):
        p, state = carry
        value, g = jax.value_and_grad(loss)(p)
        known = {"value_fn": loss, "grad_fn": jax.grad(loss)} | extra
        u, state = tx.update(g, state, p, value=value, grad=g, **known)
        return (p + u, state), p + u

    def run():
        return jax.lax.scan(step, (first, tx.init(first)), length=steps)

    (_, state), ways = jax.jit(run)()
    return np.asarray(ways), state


def least(loss, first):
    """The minimum, by SciPy's Newton method in a trust region."""
    found = so.minimize(
        lambda p: float(loss(jnp.asarray(p))),
        first,
        jac=jax.jit(jax.grad(loss)),
        hess=jax.jit(jax.hessian(loss)),
        method="trust-exact",
        options={"gtol": 1e-13},
    )
    return found.x


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(
    ("tx", "steps"),
    [(jopt.lbfgs(), 150), (jopt.nonlinear_cg(), 1500), (jopt.newton_cg(), 100)],
    ids=["lbfgs", "nonlinear_cg", "newton_cg"],
)
def test_the_minimum_is_that_of_scipy(tx, steps, problem):
    loss, first = PROBLEMS[problem]
    ways, _ = path(tx, loss, first, steps)
    assert np.abs(ways[-1] - least(loss, first)).max() < 1e-8


def test_gauss_newton_finds_the_least_squares_of_scipy():
    _, first = PROBLEMS["least squares"]
    ways, _ = path(jopt.gauss_newton(), half_of_squares, first, 60, residual_fn=curve)
    exact = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    theirs = so.least_squares(curve, first, jax.jacobian(curve), **exact)
    assert np.abs(ways[-1] - theirs.x).max() < 1e-8


def test_hessian_free_finds_the_minimum_of_a_convex_outer_loss():
    extra = {"residual_fn": logits, "outer_fn": outer}
    ways, _ = path(jopt.hessian_free(), logistic, np.zeros(30), 100, **extra)
    assert np.abs(ways[-1] - least(logistic, np.zeros(30))).max() < 1e-8


def test_newton_cg_goes_the_way_of_scipy():
    theirs = []
    so.minimize(
        so.rosen,
        -np.ones(4),
        jac=so.rosen_der,
        hess=so.rosen_hess,
        method="trust-ncg",
        callback=lambda x: theirs.append(x.copy()),
        options={"gtol": 1e-9},
    )
    ours, _ = path(jopt.newton_cg(), rosenbrock, -np.ones(4), len(theirs))
    assert np.abs(ours - np.stack(theirs)).max() < 1e-9


def test_lbfgs_goes_the_way_of_torch():
    torch = pytest.importorskip("torch")
    first = np.array([0.9, 1.1, -0.2, 0.3])
    bend = np.array([1.0, 0.2, 0.05, 0.6])

    def loss(p, lib):
        return lib.sum((p * p * bend_of(lib) + 0.1 * p**4) * 0.1)

    def bend_of(lib):
        return torch.tensor(bend) if lib is torch else jnp.asarray(bend)

    p = torch.tensor(first, requires_grad=True)
    optimizer = torch.optim.LBFGS([p], lr=1.0, max_iter=1, history_size=3)
    theirs = []
    for _ in range(8):

        def closure():
            optimizer.zero_grad()
            value = loss(p, torch)
            value.backward()
            return value

        optimizer.step(closure)
        theirs.append(p.detach().numpy().copy())
    tx = jopt.lbfgs(memory_size=3, linesearch=jopt.identity())
    ours, _ = path(tx, lambda p: loss(p, jnp), first, 8)
    assert np.abs(ours - np.stack(theirs)).max() < 1e-9


def searched(search, loss, first, direction=None):
    """Step, state, and loss and slope along the direction before and after."""
    p = jnp.asarray(first)
    g = jax.grad(loss)(p)
    d = -g if direction is None else jnp.asarray(direction)
    u, state = search.update(d, search.init(p), p, value_fn=loss)
    before, after = loss(p), loss(p + u)
    slopes = g @ d, jax.grad(loss)(p + u) @ d
    return state, (before, after), slopes


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 1e3])
def test_zoom_meets_the_strong_wolfe_conditions(size):
    d = -size * jax.grad(rosenbrock)(-jnp.ones(5))
    found, values, slopes = searched(ZOOM(curv_rtol=0.1), rosenbrock, -np.ones(5), d)
    a = found.learning_rate
    assert values[1] <= values[0] + 1e-4 * a * slopes[0]
    assert abs(slopes[1]) <= 0.1 * abs(slopes[0])


@pytest.mark.parametrize("search", [ZOOM(), BACKTRACK(100, max_learning_rate=10.0)])
def test_a_nan_is_too_high(search):
    state, values, _ = searched(search, lambda p: p[0] - jnp.log(p[0]), [1.5], [-9.0])
    assert 0 < state.learning_rate < 0.2
    assert values[1] < values[0]


@pytest.mark.parametrize("search", [ZOOM(), BACKTRACK()])
def test_a_direction_uphill_is_not_gone(search):
    state, values, _ = searched(search, rosenbrock, -np.ones(3), np.ones(3) * -1.0)
    assert state.learning_rate == 0
    assert values[0] == values[1]


@pytest.mark.parametrize("search", [ZOOM(max_learning_rate=1e-5), BACKTRACK()])
def test_no_step_is_longer_than_the_largest(search):
    slope = lambda p: p[0]  # noqa: E731
    state, _, _ = searched(search, slope, [0.0], [-1.0])
    assert state.learning_rate == (1e-5 if "zoom" in repr(search) else 1.0)


def test_backtracking_takes_the_first_step_that_is_short_enough():
    square = lambda p: jnp.sum(p**2)  # noqa: E731
    search = BACKTRACK(decrease_factor=0.5, slope_rtol=0.1)
    state, _, _ = searched(search, square, [1.0], [-7.0])
    assert state.learning_rate == 0.25
    assert state.num_linesearch_steps == 3


def test_without_success_there_is_no_step():
    cusp = lambda p: jnp.where(p[0] == 1.0, 0.0, 1.0) + p[0]  # noqa: E731
    state, _, _ = searched(ZOOM(approx_dec_rtol=None), cusp, [1.0])
    assert state.learning_rate == 0


@pytest.mark.slow
def test_the_search_keeps_the_loss_and_the_gradient_of_where_it_ends():
    tx, p = jopt.lbfgs(), -jnp.ones(4)
    known = optax.value_and_grad_from_state(rosenbrock)
    state = tx.init(p)
    for _ in range(5):
        value, g = known(p, state=state)
        u, state = tx.update(g, state, p, value=value, grad=g, value_fn=rosenbrock)
        p = p + u
    value, g = jax.value_and_grad(rosenbrock)(p)
    np.testing.assert_allclose(state[2].value, value, rtol=1e-14)
    np.testing.assert_allclose(state[2].grad, g, rtol=1e-10)


def test_a_pair_of_negative_curvature_is_left_out():
    tx, p = jopt.scale_by_lbfgs(3), jnp.ones(2)
    _, state = tx.update(jnp.array([1.0, 2.0]), tx.init(p), p)
    _, state = tx.update(jnp.array([3.0, 1.0]), state, p - 1.0)
    assert not state.curvatures.any()
    assert not state.diff_params_memory.any()


def test_a_step_of_0_forgets_all_pairs():
    tx, p = jopt.scale_by_lbfgs(3), jnp.ones(2)
    _, state = tx.update(jnp.array([1.0, 2.0]), tx.init(p), p)
    _, state = tx.update(jnp.array([0.5, 1.0]), state, p - 0.5)
    assert state.curvatures.any()
    u, state = tx.update(jnp.array([0.3, 0.4]), state, p - 0.5)
    assert not state.curvatures.any()
    np.testing.assert_allclose(u, [0.3, 0.4])


def test_parameters_that_change_before_the_first_update_make_no_pair():
    tx = jopt.scale_by_lbfgs(3)
    _, state = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)), jnp.ones(2))
    assert not state.curvatures.any()


def test_a_direction_that_does_not_descend_restarts_conjugate_gradients():
    tx, p = jopt.scale_by_nonlinear_cg("FR"), jnp.zeros(2)
    _, state = tx.update(jnp.array([1.0, 0.0]), tx.init(p))
    u, _ = tx.update(jnp.array([-2.0, 0.5]), state)
    np.testing.assert_array_equal(u, [-2.0, 0.5])


def test_a_step_that_is_not_taken_shrinks_the_radius():
    wave = lambda p: jnp.sum(jnp.cos(10.0 * p) + p)  # noqa: E731
    tx, p = jopt.newton_cg(initial_radius=8.0), jnp.array([0.01])
    known = {"value_fn": wave, "grad_fn": jax.grad(wave)}
    u, state = tx.update(jnp.array([1.0]), tx.init(p), p, **known)
    assert u == 0
    assert state.radius == 2.0


def test_16_bit_parameters_are_searched_as_they_are_stored():
    loss = lambda p: jnp.sum((p - 2.0) ** 2)  # noqa: E731
    p = jnp.zeros(3, jnp.bfloat16)
    step = jopt.make_step(loss, jopt.lbfgs())
    state = step.tx.init(p)
    for _ in range(5):
        p, state, value = step(p, state)
    assert value == 0
    assert p.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("tx", "argument"),
    [
        (ZOOM(), "value_fn"),
        (BACKTRACK(), "value_fn"),
        (jopt.newton_cg(), "grad_fn"),
        (jopt.gauss_newton(), "residual_fn"),
        (jopt.hessian_free(), "residual_fn"),
    ],
)
def test_a_missing_function_is_named(tx, argument):
    p = jnp.ones(2)
    with pytest.raises(ValueError, match=f"needs {argument}"):
        tx.update(p, tx.init(p), p)
