"""Certificates of stages: clipping, normalising, filtering, accumulating."""

import jax
import numpy as np

import jopt
from tests.certificates.record import PAPER, RAMP, RATES, Rows, TOLD
from tests.references.walk import Adam, at, stepped, total, walk

RULE = f"{TOLD}the rule"


def before(stage, rate=0.1):
    return jopt.chain(stage, jopt.sgd(rate))


def filtered(rule):
    """Make `rule(g, p, **settings)`, of trees, a transcription: SGD behind it."""

    def run(first, grads, lr=0.1, **settings):
        def step(p, g, t):
            return stepped(p, rule(g, p, **settings), at(lr, t))

        return walk(first, grads, step)

    return run


def by_leaf(rule):
    """The same of a rule for the leaf."""

    def every(g, p, **settings):
        return {k: rule(g[k], p[k], **settings) for k in g}

    return filtered(every)


@by_leaf
def clip(g, p, bound):
    return np.array([min(max(x, -bound), bound) for x in g.flat]).reshape(g.shape)


@filtered
def by_global_norm(g, p, bound):
    size = total(g)
    return {k: x * (bound / size if size > bound else 1.0) for k, x in g.items()}


@by_leaf
def by_rms(g, p, bound):
    return g / max(1.0, np.sqrt(np.mean(g**2)) / bound)


@by_leaf
def adaptive(g, p, clipping, eps=1e-3):
    """Equation 3: by column, that is by output; a vector as a whole."""
    columns = range(g.shape[1]) if g.ndim == 2 else [...]
    out = g.copy()
    for i in columns:
        unit = (slice(None), i) if g.ndim == 2 else ...
        bound = clipping * max(np.linalg.norm(p[unit]), eps)
        size = np.linalg.norm(g[unit])
        if size > bound:
            out[unit] = g[unit] * bound / size
    return out


@by_leaf
def centralized(g, p, unit=-1):
    """Each output's gradient loses its mean."""
    if g.ndim < 2:
        return g
    units = np.moveaxis(g, unit, 0)
    means = np.array([np.mean(one) for one in units])
    less = units - means.reshape(-1, *(1,) * (g.ndim - 1))
    return np.moveaxis(less, 0, unit)


@filtered
def normalized(g, p, scale, eps):
    return {k: scale * x / (total(g) + eps) for k, x in g.items()}


@by_leaf
def by_norm_of_param(g, p, least):
    return g * max(np.linalg.norm(p), least)


@by_leaf
def by_rms_of_param(g, p, least):
    return g * max(np.sqrt(np.mean(p**2)), least)


def ema(first, grads, decay, debias, lr=0.1):
    """The weights of all gradients so far, written out."""

    def step(p, _, t):
        weights = [(1 - decay) * decay ** (t - i) for i in range(t + 1)]
        share = sum(weights) if debias else 1.0
        pairs = list(zip(weights, grads[: t + 1], strict=True))
        u = {k: sum(w * g[k] for w, g in pairs) / share for k in p}
        return stepped(p, u, at(lr, t))

    return walk(first, grads, step)


def accumulated(first, grads, every, lr, mean=True):
    """Adam on the mean of some gradients; or the sum of its steps, taken late."""
    adam, waiting = Adam(), []

    def step(p, g, t):
        waiting.append(g if mean else adam(g))
        if len(waiting) < every:
            return p
        u = {k: sum(x[k] for x in waiting) / (every if mean else 1) for k in p}
        waiting.clear()
        return stepped(p, adam(u) if mean else u, lr)

    return walk(first, grads, step)


def nonnegative(first, grads, lr):
    def step(p, g, t):
        new = stepped(p, g, at(lr, t))
        return {k: np.maximum(x, 0.0) for k, x in new.items()}

    return walk(first, grads, step)


def skipping(first, grads, lr, bound):
    """Adam, which does not see the gradients that are too large."""
    adam = Adam()

    def step(p, g, t):
        return p if total(g) > bound else stepped(p, adam(g), at(lr, t))

    return walk(first, grads, step)


def without_nan(first, grads, lr, whole_steps):
    """Adam, that is spared NaN: or the whole step, or the entries."""
    adam = Adam()

    def step(p, g, t):
        bad = any(np.isnan(x).any() for x in g.values())
        if bad and whole_steps:
            return p
        g = {k: np.where(np.isnan(x), 0.0, x) for k, x in g.items()}
        return stepped(p, adam(g), at(lr, t))

    return walk(first, grads, step)


def distance(params, gradient):
    return {"value": sum((x**2).sum() for x in params.values())}


def plateau(first, grads, lr, factor, patience, rtol, cooldown):
    best, bad, cooling, scale = np.inf, 0, 0, 1.0

    def step(p, g, t):
        nonlocal best, bad, cooling, scale
        value = distance(p, g)["value"]
        better, rests = value < best - rtol * abs(best) or best == np.inf, cooling > 0
        cooling = max(cooling - 1, 0)
        best = value if better else best
        bad = 0 if better or rests else bad + 1
        if bad == patience:
            scale, bad, cooling = scale * factor, 0, cooldown
        return stepped(p, g, scale * at(lr, t))

    return walk(first, grads, step)


def noisy(first, grads, eta, gamma, seed, lr=0.1):
    """The same draws: of the step's key, folded with the number of the leaf."""
    with jax.enable_x64(True):
        key = jax.random.key(seed)

        def step(p, g, t):
            nonlocal key
            key, now = jax.random.split(key)
            deviation = np.sqrt(eta / (1 + t) ** gamma)
            out = {}
            for i, k in enumerate(sorted(g)):
                own = jax.random.fold_in(now, i)
                draw = np.asarray(jax.random.normal(own, g[k].shape, "float64"))
                out[k] = g[k] + deviation * draw
            return stepped(p, out, at(lr, t))

        return walk(first, grads, step)


def rows(name, source, pairs, transcription, problem="tree"):
    return Rows(name, source, pairs, problem, transcription)


CERTIFICATES = [
    rows(
        "clip",
        RULE,
        [
            (before(jopt.clip(0.5)), {"bound": 0.5}),
            (before(jopt.clip(2.0), RAMP), {"bound": 2.0, "lr": RATES}),
        ],
        clip,
    ),
    rows(
        "clip_by_global_norm",
        PAPER,
        [
            (before(jopt.clip_by_global_norm(5.0)), {"bound": 5.0}),
            (before(jopt.clip_by_global_norm(1.0), RAMP), {"bound": 1.0, "lr": RATES}),
        ],
        by_global_norm,
    ),
    rows(
        "clip_by_block_rms",
        RULE,
        [
            (before(jopt.clip_by_block_rms(1.0)), {"bound": 1.0}),
            (before(jopt.clip_by_block_rms(3.0)), {"bound": 3.0}),
        ],
        by_rms,
    ),
    rows(
        "adaptive_grad_clip",
        PAPER,
        [
            (before(jopt.adaptive_grad_clip(0.16)), {"clipping": 0.16}),
            (before(jopt.adaptive_grad_clip(2.0, 0.9)), {"clipping": 2.0, "eps": 0.9}),
        ],
        adaptive,
    ),
    rows(
        "centralize",
        PAPER,
        [
            (before(jopt.centralize()), {}),
            (before(jopt.centralize(unit_axis=0)), {"unit": 0}),
        ],
        centralized,
        "shapes",
    ),
    rows(
        "normalize_by_update_norm",
        RULE,
        [
            (
                before(jopt.normalize_by_update_norm(scale, eps)),
                {"scale": scale, "eps": eps},
            )
            for scale, eps in ((1.0, 1e-6), (3.0, 0.5))
        ],
        normalized,
    ),
    rows(
        "scale_by_param_block_norm",
        RULE,
        [
            (before(jopt.scale_by_param_block_norm(least)), {"least": least})
            for least in (1e-3, 2.0)
        ],
        by_norm_of_param,
    ),
    rows(
        "scale_by_param_block_rms",
        RULE,
        [
            (before(jopt.scale_by_param_block_rms(least)), {"least": least})
            for least in (1e-3, 0.9)
        ],
        by_rms_of_param,
    ),
    rows(
        "ema",
        RULE,
        [
            (before(jopt.ema(0.9)), {"decay": 0.9, "debias": True}),
            (
                before(jopt.ema(0.5, debias=False), RAMP),
                {"decay": 0.5, "debias": False, "lr": RATES},
            ),
        ],
        ema,
    ),
    rows(
        "accumulate",
        RULE,
        [
            (jopt.accumulate(jopt.adam(0.1), n), {"every": n, "lr": 0.1})
            for n in (1, 2, 3)
        ],
        accumulated,
    ),
    rows(
        "apply_every",
        RULE,
        [
            (
                jopt.chain(jopt.adam(0.1), jopt.apply_every(n)),
                {"every": n, "lr": 0.1, "mean": False},
            )
            for n in (1, 3)
        ],
        accumulated,
    ),
    rows(
        "keep_params_nonnegative",
        RULE,
        [
            (jopt.chain(jopt.sgd(rate), jopt.keep_params_nonnegative()), {"lr": lr})
            for rate, lr in ((0.1, 0.1), (RAMP, RATES))
        ],
        nonnegative,
    ),
    rows(
        "skip_large_updates",
        RULE,
        [
            (
                jopt.skip_large_updates(jopt.adam(rate), bound),
                {"lr": lr, "bound": bound},
            )
            for rate, lr, bound in ((0.1, 0.1, 8.0), (0.1, 0.1, 5.0))
        ],
        skipping,
    ),
    rows(
        "apply_if_finite",
        RULE,
        [
            (jopt.apply_if_finite(jopt.adam(rate)), {"lr": lr, "whole_steps": True})
            for rate, lr in ((0.1, 0.1), (0.3, 0.3))
        ],
        without_nan,
        "holes",
    ),
    rows(
        "zero_nans",
        RULE,
        [
            (
                jopt.chain(jopt.zero_nans(), jopt.adam(rate)),
                {"lr": lr, "whole_steps": False},
            )
            for rate, lr in ((0.1, 0.1), (RAMP, RATES))
        ],
        without_nan,
        "holes",
    ),
    Rows(
        "reduce_on_plateau",
        RULE,
        [
            (
                jopt.chain(
                    jopt.sgd(0.1),
                    jopt.reduce_on_plateau(0.5, n, rtol=r, cooldown=c),
                ),
                {"lr": 0.1, "factor": 0.5, "patience": n, "rtol": r, "cooldown": c},
            )
            for n, r, c in ((1, 1e-4, 0), (2, 0.01, 0), (1, 0.1, 2))
        ],
        "tree",
        plateau,
        distance,
    ),
    rows(
        "add_noise",
        PAPER,
        [
            (
                before(jopt.add_noise(eta, gamma, seed)),
                {"eta": eta, "gamma": gamma, "seed": seed},
            )
            for eta, gamma, seed in ((1.0, 0.55, 0), (0.3, 0.0, 7))
        ],
        noisy,
    ),
]
