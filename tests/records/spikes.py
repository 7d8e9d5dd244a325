"""Records of what meets spikes and gaps, of small stages, and of MARS."""

import jax
import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import newton_schulz, SIMPLE
from tests.references.walk import Adam, at, stepped, total, walk


def even(step):
    return (step % 2 == 0) | (step > 100)


def always(step, **extra):
    return step >= 0


def rising(tx):
    """The transform on gradients that grow, so that it has something to meet."""
    return jopt.chain(jopt.scale(jopt.linear_schedule(1.0, 9.0, 4)), tx)


SIGNUM = f"{STEP} scale_invariant"
MARS = "odd still complex descends translation_invariant scale_invariant"
WINDOW = 4
SMALL = 1e-3

CASES = {
    "ada_gc": record(
        Vary(jopt.ada_gc(warmup_steps=2), "+scale_invariant"),
        Vary(jopt.ada_gc(45.0, 0.8, 0.9, warmup_steps=2), "+scale_invariant"),
        tags="odd translation_invariant still complex global_scalar",
    ),
    "apply_every": record(
        jopt.apply_every(2),
        jopt.apply_every(1),
        tags=FREE,
        memory=1,
    ),
    "conditionally_mask": record(
        jopt.conditionally_mask(jopt.signum(RATE), even),
        Vary(
            jopt.conditionally_mask(jopt.sgd(RATE), always, forward_extra_args=True),
            "-scale_invariant",
            memory=0,
        ),
        tags=SIGNUM,
        memory=1,
    ),
    "conditionally_transform": record(
        jopt.conditionally_transform(jopt.ema(0.5), even),
        Vary(
            jopt.conditionally_transform(jopt.sgd(RATE), always, True),
            "+descends",
            memory=0,
        ),
        tags=FREE,
        memory=1,
    ),
    "keep_params_nonnegative": record(
        jopt.keep_params_nonnegative(),
        tags="elementwise",
        needs="params",
    ),
    "mars": record(
        jopt.mars(RATE),
        Vary(jopt.mars(RATE, b1=0.5, gamma=2.0, variant="lion"), memory=2),
        Vary(jopt.mars(RATE, weight_decay=0.1), DECAY, needs="params"),
        Vary(
            jopt.mars(RATE, gamma=0.1, exact=True),
            "-translation_invariant -still -scale_invariant",
            needs="params grad_fn",
        ),
        Vary(jopt.mars(FADING, corrected=".", eps=1e-4), memory=3),
        Vary(jopt.mars(RATE, variant="shampoo"), "+matrix", memory=2),
        tags=MARS,
        memory=42 / 15,
    ),
    "mars_correction": record(
        Vary(jopt.mars_correction(), "+scale_invariant"),
        Vary(jopt.mars_correction(0.5, 0.5, clip=False), "+elementwise"),
        Vary(
            jopt.mars_correction(exact=True),
            "-translation_invariant -still",
            needs="params grad_fn",
        ),
        tags="odd translation_invariant still complex",
        memory=1,
    ),
    "normalize_by_update_norm": record(
        jopt.normalize_by_update_norm(),
        jopt.normalize_by_update_norm(2.0, eps=0.0),
        tags="odd translation_invariant still complex scale_invariant global_scalar",
    ),
    "scale_by_param_block_norm": record(
        # downhill: uphill the parameters grow without bound
        jopt.chain(jopt.scale_by_param_block_norm(), jopt.scale(-SMALL)),
        jopt.chain(jopt.scale_by_param_block_norm(0.1), jopt.scale(-SMALL)),
        tags="odd still complex descends",
        needs="params",
    ),
    "skip_large_updates": record(
        jopt.skip_large_updates(jopt.signum(RATE), 1e20),
        Vary(jopt.skip_large_updates(jopt.adam(RATE), 1e10), memory=2),
        tags=SIGNUM,
        memory=1,
    ),
    "skip_spikes": record(
        rising(jopt.skip_spikes(jopt.signum(RATE), 2.5, window=WINDOW)),
        rising(jopt.skip_spikes(jopt.signum(RATE), 2.6, window=WINDOW)),
        tags="odd translation_invariant still complex descends scale_invariant "
        "global_scalar",
        memory=1 + 2 * WINDOW / 15,
    ),
    "zclip": record(
        rising(jopt.zclip(0.5, 0.1, warmup_steps=1)),
        rising(jopt.zclip(0.5, 0.1, warmup_steps=2, clip_to="mean")),
        tags="odd translation_invariant still complex global_scalar",
    ),
    "zero_nans": record(jopt.zero_nans(), tags=FREE),
}


def mars(
    first,
    grads,
    lr,
    b1=0.95,
    b2=0.99,
    gamma=0.025,
    weight_decay=0.0,
    lion=False,
    plain=("b",),
    exact=False,
    clip=True,
    orthogonal=(),
):
    adam, other, m = Adam(b1, b2), Adam(0.9, 0.95), {}
    before = {k: 0.0 * x for k, x in first.items()}
    last = dict(first)

    def step(p, g, t):
        if exact:  # the batch of now, at the parameters before
            before.update({k: g[k] + p[k] * (last[k] - p[k]) for k in p})
        u, c = {}, {}
        for k in p:
            c[k] = g[k] + gamma * b1 / (1 - b1) * (g[k] - before[k])
            c[k] = c[k] / max(1.0, np.linalg.norm(c[k])) if clip else c[k]
            before[k], last[k] = g[k], p[k]
            m[k] = b1 * m.get(k, 0.0) + (1 - b1) * c[k]
        u = {k: np.sign(m[k]) for k in p} if lion else adam(c)
        u |= other({k: g[k] for k in plain})
        for k in orthogonal:
            rows, cols = p[k].shape
            u[k] = newton_schulz(m[k], (SIMPLE,) * 5) * max(1, cols / rows) ** 0.5
        return stepped(p, u, at(lr, t), weight_decay)

    return walk(first, grads, step)


def grad_fn(p, g):
    return {"grad_fn": lambda q: jax.tree.map(lambda q, p, g: g + p * (q - p), q, p, g)}


def zclip(first, grads, lr, decay=0.97, z_thresh=2.5, warmup=25, to_mean=False):
    adam, seen, stats = Adam(), [], []

    def step(p, g, t):
        n = total(g)
        if t < warmup:
            seen.append(n)
            if len(seen) == warmup:
                stats[:] = [np.mean(seen), np.var(seen)]
            return stepped(p, adam(g), at(lr, t))
        mean, var = stats
        z = (n - mean) / (np.sqrt(var) + 1e-6)
        bound = n
        if z > z_thresh:
            bound = mean if to_mean else mean + z_thresh * np.sqrt(var) / (z / z_thresh)
        mean = decay * mean + (1 - decay) * bound
        stats[:] = [mean, decay * var + (1 - decay) * (bound - mean) ** 2]
        g = {k: x * min(1.0, bound / n) for k, x in g.items()}
        return stepped(p, adam(g), at(lr, t))

    return walk(first, grads, step)


def ada_gc(first, grads, lr, lambda_abs=1.0, lambda_rel=1.05, decay=0.98, warmup=100):
    adam, usual = Adam(), {}

    def step(p, g, t):
        whole, u = min(1.0, lambda_abs / total(g)), {}
        for k in p:
            if not t or t + 1 < warmup:
                u[k] = g[k] * whole
                n = np.linalg.norm(u[k])
                usual[k] = min(usual.get(k, n), n)
            else:
                u[k] = g[k] * min(1.0, lambda_rel * usual[k] / np.linalg.norm(g[k]))
                usual[k] = decay * usual[k] + (1 - decay) * np.linalg.norm(u[k])
        return stepped(p, adam(u), at(lr, t))

    return walk(first, grads, step)


def skipping(first, grads, lr, sigma, window):
    """Adam that leaves spikes of the norm out."""
    adam, seen = Adam(), []

    def step(p, g, t):
        before = seen[-window:]
        seen.append(total(g))
        if len(before) >= max(2, window // 2):
            bound = np.mean(before) + sigma * np.std(before, ddof=1)
            if seen[-1] > bound:
                return p
        return stepped(p, adam(g), lr)

    return walk(first, grads, step)


def before_adam(stage, rate):
    return jopt.chain(stage, jopt.adam(rate))


SPIKE = {"lr": 0.1, "decay": 0.5, "z_thresh": 0.5, "warmup": 3}

CERTIFICATES = [
    Rows(
        "mars",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "gamma": 0.1, "weight_decay": 0.1},
                {"lr": RATES, "b1": 0.5, "gamma": 0.1, "weight_decay": 0.1},
            ),
            (
                {"learning_rate": 0.1, "variant": "lion", "corrected": "."},
                {"lr": 0.1, "lion": True, "plain": ()},
            ),
            (
                {"learning_rate": 0.1, "variant": "shampoo"},
                {"lr": 0.1, "orthogonal": ("w",)},
            ),
            (
                jopt.mars(RAMP, 0.5, variant="shampoo", weight_decay=0.1),
                {"lr": RATES, "b1": 0.5, "orthogonal": ("w",), "weight_decay": 0.1},
            ),
        ],
        "tree",
        mars,
    ),
    Rows(
        "mars",
        PAPER,
        [
            (
                {"learning_rate": 0.1, "gamma": 0.5, "exact": True},
                {"lr": 0.1, "gamma": 0.5, "exact": True},
            )
        ],
        "tree",
        mars,
        grad_fn,
    ),
    Rows(
        "zclip",
        PAPER,
        [
            (before_adam(jopt.zclip(0.5, 0.5, 3), 0.1), SPIKE),
            (
                before_adam(jopt.zclip(0.5, 0.5, 3, clip_to="mean"), RAMP),
                SPIKE | {"lr": RATES, "to_mean": True},
            ),
        ],
        "tree",
        zclip,
    ),
    Rows(
        "ada_gc",
        PAPER,
        [
            (before_adam(jopt.ada_gc(warmup_steps=3), 0.1), {"lr": 0.1, "warmup": 3}),
            (
                before_adam(jopt.ada_gc(5.0, 0.5, 0.5, 2), RAMP),
                {
                    "lr": RATES,
                    "lambda_abs": 5.0,
                    "lambda_rel": 0.5,
                    "decay": 0.5,
                    "warmup": 2,
                },
            ),
        ],
        "tree",
        ada_gc,
    ),
    Rows(
        "skip_spikes",
        PAPER,
        [
            (
                jopt.skip_spikes(jopt.adam(0.1), 1.0, window=4),
                {"lr": 0.1, "sigma": 1.0, "window": 4},
            ),
            (
                jopt.skip_spikes(jopt.adam(0.1), 6.0, window=128),
                {"lr": 0.1, "sigma": 6.0, "window": 128},
            ),
        ],
        "tree",
        skipping,
    ),
]
