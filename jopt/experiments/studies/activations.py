"""Activations, depth, and gradients that vanish; recurrent nets included."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.seeds import generator
from jopt.experiments.studies.statistics import interval, log_ratio
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import rates, sweep

NAMES = ("sigmoid", "tanh", "relu", "elu", "gelu")
WIDTH = 32


def first_to_last(activation: str, depth: int, seeds: int) -> np.ndarray:
    """The gradient of the first hidden layer over that of the last, at the start."""
    sizes = (64, *[WIDTH] * depth, 10)
    x, y = (jnp.asarray(array[:256]) for array in nets.digits()[0])

    def loss(params: Any) -> jax.Array:
        logits = nets.apply_mlp(params, x, activation)
        return nets.cross_entropies(logits, y).mean()

    def ratio(params: Any) -> jax.Array:
        grads = jax.grad(loss)(params)
        # The second layer is the first of the same shape as the last.
        sizes = [jnp.linalg.norm(grads[i]["kernel"]) for i in (1, -2)]
        return sizes[0] / sizes[1]

    made = [nets.init_mlp(generator(s), sizes, activation) for s in range(seeds)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *made)
    return np.asarray(jax.jit(jax.vmap(ratio))(stacked), np.float64)


def recurrent(kind: str, length: int, seeds: int) -> np.ndarray:
    """How much of a gradient at the end reaches the first input, at the start."""

    def reached(cell: Any, x: jax.Array) -> jax.Array:
        def last(x: jax.Array) -> jax.Array:
            def step(carry: Any, at: jax.Array) -> tuple[Any, None]:
                return _cell(kind, cell, carry, at), None

            zero = jnp.zeros(WIDTH), jnp.zeros(WIDTH)
            return jax.lax.scan(step, zero, x)[0][0].sum()

        grads = jnp.linalg.norm(jax.grad(last)(x), axis=1)
        return grads[0] / grads[-1]

    found = []
    gates = 4 if kind == "LSTM" else 1
    for seed in range(seeds):
        draw = generator(seed)
        rows = nets.normal(draw, (2 * WIDTH, gates * WIDTH), WIDTH**-0.5)
        bias = np.zeros(gates * WIDTH, np.float32)
        bias[WIDTH : 2 * WIDTH] = 1.0 if kind == "LSTM" else 0.0  # not to forget
        x = nets.normal(draw, (length, WIDTH))
        found.append(jax.jit(reached)({"kernel": rows, "bias": bias}, jnp.asarray(x)))
    return np.asarray(found, np.float64)


def _cell(kind: str, cell: Any, carry: Any, x: jax.Array) -> Any:
    h, c = carry
    z = jnp.concatenate([h, x]) @ cell["kernel"] + cell["bias"]
    if kind == "RNN":
        return jnp.tanh(z), c
    i, f, g, o = jnp.split(z, 4)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def measure(quick: bool) -> Findings:
    """Gradients at the start by depth and length; and what a deep net learns."""
    seeds, depths = (2, (2, 8)) if quick else (10, (2, 5, 10, 15, 20))
    lengths = (2, 10) if quick else (2, 10, 20, 40)
    deep = 8 if quick else 12
    steps, count = (20, 2) if quick else (300, 7)
    flow = {n: [first_to_last(n, depth, seeds) for depth in depths] for n in NAMES}
    time = {k: [recurrent(k, t, seeds) for t in lengths] for k in ("RNN", "LSTM")}
    trained = {
        name: sweep(
            nets.digits_bench([WIDTH] * deep, name),
            lambda rate: jopt.adam(rate),
            rates(2e-4, 2e-2, count),
            seeds=min(seeds, 6),
            steps=steps,
            batch_size=64,
        )
        for name in NAMES
    }
    one = np.ones(seeds)
    last = {name: runs[-1] for name, runs in flow.items()}
    checks = (
        Check(
            f"Through {depths[-1]} layers of sigmoids less than 1% of a gradient is "
            "left.",
            log_ratio(0.01 * one, last["sigmoid"]),
            unit="powers of ten",
        ),
        Check(
            "Of ReLU's more than 10% is left.",
            log_ratio(last["relu"], 0.1 * one),
            unit="powers of ten",
        ),
        arms.better(
            trained,
            "relu",
            "sigmoid",
            f"A net of {deep} layers learns more with ReLU than with sigmoids.",
            "accuracy",
        ),
        arms.better(trained, "relu", "tanh", "And more than with tanh.", "accuracy"),
        Check(
            f"Over {lengths[-1]} steps an LSTM keeps more of a gradient than an RNN.",
            log_ratio(time["LSTM"][-1], time["RNN"][-1]),
            unit="powers of ten",
        ),
    )
    return _findings(flow, time, trained, checks, (depths, lengths, deep, seeds, steps))


def _findings(
    flow: Any, time: Any, trained: arms.Arms, checks: Any, sizes: Any
) -> Findings:
    depths, lengths, deep, seeds, steps = sizes
    left = {name: np.median(runs[-1]) for name, runs in (flow | time).items()}
    conclusion = (
        f"What is left of a gradient after {depths[-1]} layers: "
        + ", ".join(f"{n} {left[n]:.1g}" for n in NAMES)
        + f"; after {lengths[-1]} steps in time: RNN {left['RNN']:.1g}, LSTM "
        f"{left['LSTM']:.1g}. A net of {deep} layers reached "
        + ", ".join(f"{n} {trained[n].score.mean():.1%}" for n in NAMES)
        + " of the test digits."
    )
    rows = [
        (f"{name}, {depth} layers", interval(np.log10(one)))
        for name, runs in flow.items()
        for depth, one in zip(depths, runs, strict=True)
    ]
    rows += [
        (f"{kind}, {length} steps", interval(np.log10(one)))
        for kind, runs in time.items()
        for length, one in zip(lengths, runs, strict=True)
    ]
    columns = ("", "log10 of the gradient at the far end / at the near one")
    return Findings(
        (
            arms.table(trained, f"Trained with {deep} hidden layers", "accuracy"),
            Table("Gradients before training", columns, tuple(rows)),
        ),
        checks,
        conclusion,
        lambda: _draw(flow, time, trained, depths, lengths),
        f"Layers of {WIDTH} units; weights by He for ReLU, ELU and GELU, by Glorot for "
        f"the others; {seeds} seeds. Training: {steps} steps of Adam on digits, up to "
        "6 seeds, the same rates for all, the best chosen on validation data. The "
        "LSTM's forget gate has a bias of 1.",
    )


def _draw(flow: Any, time: Any, trained: arms.Arms, depths: Any, lengths: Any) -> Any:
    figure, (left, middle, right) = drawing.panels(3, width=4.3)
    colours = dict(zip(NAMES, drawing.COLOURS, strict=False))
    for name, runs in flow.items():
        style = {"color": colours[name], "label": name, "lw": 2, "log": True}
        drawing.band(left, depths, np.stack(runs, 1), **style)
    left.set(
        yscale="log", xlabel="hidden layers", ylabel="first layer's / last layer's"
    )
    left.set_title("Gradient that arrives, by depth")
    left.legend(frameon=False)
    for (kind, runs), colour in zip(time.items(), drawing.COLOURS[5:], strict=False):
        style = {"color": colour, "label": kind, "lw": 2, "log": True}
        drawing.band(middle, lengths, np.stack(runs, 1), **style)
    middle.set(
        yscale="log", xlabel="steps in time", ylabel="first input's / last input's"
    )
    middle.set_title("Gradient that arrives, through time")
    middle.legend(frameon=False)
    drawing.bars(right, list(NAMES), arms.scores(trained), list(colours.values()))
    right.set(xlabel="test accuracy", title="A deep net, trained")
    return figure


STUDY = Study(
    "activations",
    "With depth the gradients of sigmoids vanish and ReLU's do not, so deep nets train "
    "better with ReLU; an LSTM keeps gradients that an RNN loses.",
    measure,
)
