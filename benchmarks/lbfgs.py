"""L-BFGS on Rosenbrock's function of 100 numbers, beside optax's and SciPy's."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import optimize
from threadpoolctl import threadpool_limits

import jopt
from benchmarks import _common as common

SIZE = 100
TOLERANCE = 1e-5  # of the largest entry of the gradient, as SciPy's default
LIMIT = 5000
LARGE = {"w": jax.ShapeDtypeStruct((2**20,), jnp.float32)}


def rosenbrock(x: jax.Array) -> jax.Array:
    """The function, chained."""
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def solver(tx: Any, reuse: bool) -> Callable[[], Any]:
    """All steps from 0 in one program; gives the place and the number of steps."""
    reused = optax.value_and_grad_from_state(rosenbrock)

    def step(carry: Any) -> Any:
        p, state, _, count = carry
        if reuse:
            value, g = reused(p, state=state)
        else:
            value, g = jax.value_and_grad(rosenbrock)(p)
        u, state = tx.update(g, state, p, value=value, grad=g, value_fn=rosenbrock)
        return optax.apply_updates(p, u), state, jnp.max(jnp.abs(g)), count + 1

    def going(carry: Any) -> Any:
        return (carry[2] > TOLERANCE) & (carry[3] < LIMIT)

    def run(p: jax.Array) -> Any:
        start = p, tx.init(p), jnp.asarray(jnp.inf, p.dtype), 0
        p, _, _, count = jax.lax.while_loop(going, step, start)
        return p, count

    compiled = jax.jit(run)
    return lambda: jax.block_until_ready(compiled(jnp.zeros(SIZE)))


def scipys() -> Any:
    """The same by SciPy, on one thread: several are slower on so small a problem."""
    with threadpool_limits(1):
        return optimize.minimize(
            optimize.rosen,
            np.zeros(SIZE),
            jac=optimize.rosen_der,
            method="L-BFGS-B",
            options={"gtol": TOLERANCE, "ftol": 0.0, "maxfun": 10**6, "maxiter": 10**6},
        )


def large_step(tx: Any) -> tuple[Callable[[], None], float]:
    """A step of the direction alone on a million numbers, and its bytes per number."""
    compiled = common.compiled_step(tx, LARGE)
    held: list[Any] = [common.filled(LARGE, 0.1)]
    # optax's two memories are one buffer, which cannot be donated twice
    held.append(jax.tree.map(jnp.copy, tx.init(held[0])))
    draws = np.random.default_rng(0)
    grads = [
        {"w": jnp.asarray(draws.standard_normal(2**20), jnp.float32)} for _ in range(4)
    ]
    count = [0]

    def run() -> None:
        count[0] += 1
        out = compiled(*held, grads[count[0] % 4])
        held[:] = jax.block_until_ready(out)

    return run, compiled.memory_analysis().temp_size_in_bytes / 2**20


def _rows() -> list[common.Row]:
    with jax.enable_x64(True):
        rows = _whole()
    ours = jopt.chain(jopt.scale_by_lbfgs(), jopt.scale(-0.1))
    theirs = optax.chain(optax.scale_by_lbfgs(), optax.scale(-0.1))
    (mine, temp), (other, temps) = large_step(ours), large_step(theirs)
    a, b = common.by_turns([mine, other], 11)
    what = "direction from 10 pairs, 2^20 numbers: "
    bar = "<= 1x (noise 1.05x)"
    return [
        *rows,
        common.Row(f"{what}time", _over(a, b), _ms(b), bar, a <= 1.05 * b),
        common.Row(
            f"{what}temporaries, bytes per number",
            f"{temp:.1f}",
            f"{temps:.1f}",
            "<= optax",
            temp <= temps,
        ),
    ]


def _whole() -> list[common.Row]:
    best = scipys()
    (c,) = common.by_turns([scipys], 5)
    rows = []
    for reuse in (False, True):
        with jax.numpy_dtype_promotion("standard"):
            jobs = [solver(tx, reuse) for tx in (jopt.lbfgs(), optax.lbfgs())]
            a, b = common.by_turns(jobs, 25)
            (p, mine), (_, other) = jobs[0](), jobs[1]()
        way = "loss and gradient of the search used again" if reuse else "plain"
        rows.append(
            common.Row(
                f"{way}: time to |g| <= {TOLERANCE:g} (SciPy {_ms(c)})",
                _over(a, b),
                _ms(b),
                "<= 1x (noise 1.05x)",
                a <= 1.05 * b,
            )
        )
        off = float(jnp.max(jnp.abs(p - 1.0)))
        rows.append(
            common.Row(
                f"{way}: steps (SciPy {best.nit}), and how far from the minimum",
                f"{int(mine)} ({off:.0e})",
                f"{int(other)}",
                "<= 3x SciPy's",
                int(mine) <= 3 * best.nit and off < 1e-4,
            )
        )
    return rows


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms"


def _over(ours: float, theirs: float) -> str:
    return f"{_ms(ours)} ({ours / theirs:.2f}x)"


def main() -> int:
    """Whole runs on the small problem, and single steps on a large one."""
    return common.report(__doc__ or "", _rows)


if __name__ == "__main__":
    raise SystemExit(main())
