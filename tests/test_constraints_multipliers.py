"""Lagrange multipliers: solutions that are known, what is refused, and cooper."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt

C = jopt.Constraints
A = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, -1.0]], np.float32)
B = np.array([1.0, 0.5], np.float32)
NEAR = np.array([1.0, -2.0, 0.5], np.float32)


def _nearest():
    """The point nearest to `NEAR` on a line, by the normal equations."""
    m = np.linalg.solve(A @ A.T, A @ NEAR - B)
    return NEAR - A.T @ m, C(m, None)


# a problem, where to start, and its KKT point
PROBLEMS = {
    "equalities": (
        (lambda x: 0.5 * jnp.sum((x - NEAR) ** 2), lambda x: A @ x - B, None),
        jnp.zeros(3),
        *_nearest(),
    ),
    "inequalities": (  # the first is active, the second is not
        (
            lambda x: (x[0] - 2.0) ** 2 + (x[1] - 1.0) ** 2,
            None,
            lambda x: {"sum": x[0] + x[1] - 2.0, "left": -x[0]},
        ),
        jnp.zeros(2),
        np.array([1.5, 0.5]),
        C(None, {"sum": 1.0, "left": 0.0}),
    ),
    "hock_schittkowski_7": (  # neither objective nor set is convex
        (
            lambda x: jnp.log1p(x[0] ** 2) - x[1],
            lambda x: (1.0 + x[0] ** 2) ** 2 + x[1] ** 2 - 4.0,
            None,
        ),
        jnp.array([1.0, 1.0]),
        np.array([0.0, 3.0**0.5]),
        C(0.5 / 3.0**0.5, None),
    ),
}
NUPI = jopt.chain(jopt.scale_by_nupi(10.0), jopt.scale_by_learning_rate(0.02))
PLAIN = jopt.primal_dual(jopt.sgd(0.02), jopt.sgd(0.02))
METHODS = {
    "simultaneous": (jopt.lagrangian, PLAIN),
    "primal_first": (jopt.lagrangian, PLAIN.replace(order="primal_first")),
    "dual_first": (jopt.lagrangian, PLAIN.replace(order="dual_first")),
    "extragradient": (jopt.lagrangian, jopt.extragradient(PLAIN)),
    "nupi": (jopt.lagrangian, PLAIN.replace(dual=NUPI)),
    "augmented": (jopt.augmented_lagrangian, PLAIN),
    "multipliers": (
        jopt.augmented_lagrangian,
        jopt.method_of_multipliers(jopt.sgd(0.01), every=300, limit=4.0),
    ),
}


def solved(problem, pair, tx, steps=12000):
    def step(carry, _):
        pair, state = carry
        extra = {"grad_fn": jax.grad(problem)}
        updates, state = tx.update(jax.grad(problem)(pair), state, pair, **extra)
        return (jax.tree.map(jnp.add, pair, updates), state), None

    run = jax.jit(functools.partial(jax.lax.scan, step, xs=None, length=steps))
    (pair, state), _ = run((pair, tx.init(pair)))
    return pair, state


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_every_method_reaches_the_kkt_point(name, method):
    functions, start, x, m = PROBLEMS[name]
    make, tx = METHODS[method]
    problem = make(*functions)
    pair, _ = solved(problem, problem.init(start), tx)
    np.testing.assert_allclose(pair.params, x, atol=1e-4)
    for ours, theirs in zip(*map(jax.tree.leaves, (pair.multipliers, m)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert problem.kkt_error(pair) < 3e-4


def test_plain_ascent_circles_where_the_controller_does_not():
    problem = jopt.lagrangian(lambda x: 0.0 * x, lambda x: x)  # the saddle x * m
    pair = problem.init(1.0)
    circling, _ = solved(problem, pair, PLAIN, 4000)
    damped, _ = solved(problem, pair, PLAIN.replace(dual=NUPI), 4000)
    assert jnp.abs(circling.params) + jnp.abs(circling.multipliers.equalities) > 1.0
    assert jnp.abs(damped.params) < 1e-2


def test_the_slope_in_the_multipliers_is_the_violation():
    problem = jopt.lagrangian(lambda x: x**2, lambda x: x - 3.0, lambda x: x)
    slope = jax.grad(problem)(problem.init(1.0))
    assert slope.multipliers == C(-2.0, 1.0)


def test_the_slope_in_the_penalty_is_half_the_square_of_the_violation():
    problem = jopt.augmented_lagrangian(lambda x: x**2, None, lambda x: x, penalty=2.0)
    pair = problem.init(-3.0, multipliers=C(None, 1.0))
    slope = jax.grad(problem)(pair)
    assert slope.multipliers.inequalities == -0.5  # no further than to multiplier 0
    assert slope.penalty == 0.125
    assert slope.params == -6.0


def test_the_penalty_grows_while_the_violation_does_not_shrink():
    problem = jopt.augmented_lagrangian(lambda x: 0.0 * x, lambda x: 0.0 * x + 1.0)
    pair = problem.init(0.0)
    tx = jopt.method_of_multipliers(jopt.sgd(0.1), every=2, limit=50.0)
    grown, state = solved(problem, pair, tx, 4)
    assert grown.penalty == 10.0  # the first time there is nothing to compare with
    assert grown.multipliers.equalities == 2.0
    assert solved(problem, pair, tx, 8)[0].penalty == 50.0
    assert state.violation == 1.0


def test_a_small_violation_lets_the_penalty_be():
    problem = jopt.augmented_lagrangian(lambda x: 0.0 * x, lambda x: 0.0 * x + 0.5)
    tx = jopt.method_of_multipliers(jopt.sgd(0.1), every=1, tolerance=0.6)
    assert solved(problem, problem.init(0.0), tx, 5)[0].penalty == 1.0


def test_the_penalty_is_held_by_primal_dual():
    problem = jopt.augmented_lagrangian(lambda x: x**2, lambda x: x - 1.0, penalty=3.0)
    assert solved(problem, problem.init(0.0), PLAIN, 5)[0].penalty == 3.0


def test_who_goes_second_sees_where_the_first_went():
    problem = jopt.lagrangian(lambda x: x**2, lambda x: x - 3.0)
    pair = problem.init(1.0)
    one = [solved(problem, pair, METHODS[m][1], 1)[0] for m in list(METHODS)[:3]]
    assert [float(p.params) for p in one] == pytest.approx([0.96, 0.96, 0.9608])
    multipliers = [float(p.multipliers.equalities) for p in one]
    assert multipliers == pytest.approx([-0.04, -0.0408, -0.04])


def test_a_batch_goes_to_objective_and_constraints():
    problem = jopt.lagrangian(lambda x, a: a * x, lambda x, a: x - a)
    assert problem(problem.init(5.0, 2.0), 2.0) == 10.0


def test_negative_multipliers_of_inequalities_are_refused():
    problem = jopt.lagrangian(jnp.sum, inequalities=lambda x: {"low": -x})
    with pytest.raises(ValueError, match="`low` must be at least 0, got -1"):
        problem.init(jnp.ones(2), multipliers=C(None, {"low": jnp.array([0.0, -1.0])}))


def test_multipliers_have_the_shapes_of_constraints():
    problem = jopt.lagrangian(jnp.sum, lambda x: x)
    with pytest.raises(ValueError, match=r"have shape \(3,\), but the constraints"):
        problem.init(jnp.ones(2), multipliers=C(jnp.ones(3)))
    with pytest.raises(ValueError, match="`equalities` have the leaves none"):
        problem(jopt.PrimalDual(jnp.ones(2), C()))


def test_a_lagrangian_is_a_function_of_the_pair():
    with pytest.raises(TypeError, match=r"a function of a `jopt.PrimalDual`"):
        jopt.lagrangian(jnp.sum, lambda x: x)(jnp.ones(2))


def test_an_objective_is_a_number():
    problem = jopt.lagrangian(lambda x: x, lambda x: x)
    with pytest.raises(ValueError, match="must return a number, got shape"):
        problem(problem.init(jnp.ones(2)))


def test_a_constraint_is_no_comparison():
    problem = jopt.lagrangian(jnp.sum, None, lambda x: x <= 1.0)
    with pytest.raises(TypeError, match="for a <= b return `a - b`"):
        problem.init(jnp.ones(2))


def test_there_are_constraints():
    with pytest.raises(ValueError, match="needs `equalities` or `inequalities`"):
        jopt.lagrangian(jnp.sum)


def test_constraints_are_functions():
    with pytest.raises(TypeError, match="`equalities` must be a function"):
        jopt.lagrangian(jnp.sum, 3.0)


def test_a_penalty_is_above_zero():
    with pytest.raises(ValueError, match="`penalty` must lie in"):
        jopt.augmented_lagrangian(jnp.sum, lambda x: x, penalty=0.0)


def test_trees_that_are_no_pair_need_roles():
    with pytest.raises(TypeError, match=r"take a `jopt.PrimalDual`, got dict"):
        PLAIN.init({"w": jnp.ones(2)})


def test_unknown_roles_are_refused():
    tx = PLAIN.replace(roles={"w": "param"})
    with pytest.raises(ValueError, match="Did you mean `params`"):
        tx.init({"w": jnp.ones(2)})


def test_the_method_of_multipliers_needs_a_penalty():
    problem = jopt.lagrangian(jnp.sum, lambda x: x)
    with pytest.raises(ValueError, match=r"Take `jopt.augmented_lagrangian"):
        METHODS["multipliers"][1].init(problem.init(jnp.ones(2)))


def test_a_choice_has_the_slope_of_its_stand_in():
    def chosen(x):
        hard = {"a": x > 0.0, "b": jnp.round(x)}
        return jopt.straight_through(hard, {"a": jax.nn.sigmoid(x), "b": x * x})

    x = jnp.array([0.7, -0.2])
    value, (slope,) = chosen(x), (jax.jacfwd(chosen)(x),)
    assert value["a"].tolist() == [1.0, 0.0]
    assert value["b"].tolist() == [1.0, 0.0]
    np.testing.assert_allclose(jnp.diag(slope["b"]), 2.0 * x)
    assert jax.grad(lambda x: jnp.sum(chosen(x)["b"]))(x).tolist() == (2 * x).tolist()


def test_an_infinite_stand_in_does_not_spoil_the_value():
    assert jopt.straight_through(1.0, jnp.inf) == 1.0


def test_a_choice_and_its_stand_in_are_alike():
    with pytest.raises(ValueError, match="`value` has shape"):
        jopt.straight_through(jnp.ones(2), jnp.ones(3))
    with pytest.raises(ValueError, match="Give each value the slope"):
        jopt.straight_through({"a": 1.0}, {"b": 1.0})


def quadratic(x, a):
    """The objective and both constraints, in words of PyTorch and JAX."""
    h = x[0] * x[1] - 0.5
    g = x[0] ** 2 + x[1] - a
    return (x[0] - 2.0) ** 2 + 2.0 * (x[1] - 1.0) ** 2, h, g


def in_cooper(order, penalty, gains, steps):
    """Parameters and multipliers after each step of cooper."""
    cooper, torch = pytest.importorskip("cooper"), pytest.importorskip("torch")
    x = torch.nn.Parameter(torch.tensor([0.3, -0.2], dtype=torch.float64))
    kinds = cooper.ConstraintType.EQUALITY, cooper.ConstraintType.INEQUALITY
    form = cooper.formulations.AugmentedLagrangian if penalty else None
    given = {"formulation_type": form} if penalty else {}

    class Problem(cooper.ConstrainedMinimizationProblem):
        def __init__(self):
            super().__init__()
            for name, kind in zip("hg", kinds, strict=True):
                m = cooper.multipliers.DenseMultiplier(1, dtype=torch.float64)
                if penalty:
                    c = cooper.penalty_coefficients.DensePenaltyCoefficient(
                        x.new_tensor([penalty])
                    )
                    given["penalty_coefficient"] = c
                made = cooper.Constraint(constraint_type=kind, multiplier=m, **given)
                setattr(self, name, made)

        def compute_cmp_state(self):
            f, *both = quadratic(x, 1.0)
            states = (cooper.ConstraintState(violation=v.reshape(1)) for v in both)
            own = (self.h, self.g)
            return cooper.CMPState(f, dict(zip(own, states, strict=True)))

    problem = Problem()
    made = {
        "simultaneous": cooper.optim.SimultaneousOptimizer,
        "primal_first": cooper.optim.AlternatingPrimalDualOptimizer,
        "dual_first": cooper.optim.AlternatingDualPrimalOptimizer,
    }[order]
    duals = list(problem.h.multiplier.parameters())
    duals += problem.g.multiplier.parameters()
    if gains:
        kp, ki, nu = gains
        zeros = cooper.optim.nuPIInitType.ZEROS
        args = {"Kp": x.new_tensor(kp), "Ki": x.new_tensor(ki), "ema_nu": nu}
        dual = cooper.optim.nuPI(duals, lr=0.05, init_type=zeros, maximize=True, **args)
    else:
        dual = torch.optim.SGD(duals, lr=penalty or 0.05, maximize=True)
    primal = torch.optim.SGD([x], lr=0.05)
    tx = made(problem, primal_optimizers=primal, dual_optimizers=dual)
    path = []
    for _ in range(steps):
        tx.roll()
        path.append([*x.tolist(), *(m.item() for m in duals)])
    return np.array(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("order", ["simultaneous", "primal_first", "dual_first"])
@pytest.mark.parametrize(
    ("penalty", "gains"), [(None, None), (None, (2.0, 0.5, 0.3)), (0.7, None)]
)
def test_is_what_cooper_does(order, penalty, gains):
    theirs = in_cooper(order, penalty, gains, 60)
    make = jopt.lagrangian
    if penalty:
        make = functools.partial(jopt.augmented_lagrangian, penalty=penalty)
    problem = make(*(lambda x, i=i: quadratic(x, 1.0)[i] for i in range(3)))
    dual = jopt.sgd(penalty or 0.05)
    if gains:
        nupi = jopt.scale_by_nupi(*gains, start="zeros")
        dual = jopt.chain(nupi, jopt.scale_by_learning_rate(0.05))
    tx = jopt.primal_dual(jopt.sgd(0.05), dual, order=order)
    with jax.enable_x64(True):
        pair = problem.init(jnp.array([0.3, -0.2]))
        state, path = tx.init(pair), []
        for _ in range(60):
            g = jax.grad(problem)(pair)
            u, state = tx.update(g, state, pair, grad_fn=jax.grad(problem))
            pair = jax.tree.map(jnp.add, pair, u)
            path.append(np.hstack([pair.params, *pair.multipliers]))
    np.testing.assert_allclose(path, theirs, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_first_start_is_as_cooper_says_and_not_as_it_does():
    """A steady error has no change to answer to."""
    cooper, torch = pytest.importorskip("cooper"), pytest.importorskip("torch")
    p = torch.nn.Parameter(torch.zeros(1))
    theirs = cooper.optim.nuPI([p], lr=1.0, Kp=torch.tensor(1.0), maximize=True)
    tx = jopt.scale_by_nupi(1.0)
    state, way = tx.init(jnp.zeros(1)), []
    for _ in range(3):
        p.grad = torch.ones(1)
        theirs.step()
        u, state = tx.update(jnp.ones(1), state)
        way.append((float(u[0]), p.item()))
    assert way == [(1.0, 1.0), (1.0, 3.0), (1.0, 4.0)]
