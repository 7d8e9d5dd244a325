"""Averages and copies of parameters on the way: records, those of `ema_params` too."""

import numpy as np

import jopt
from tests.case import record
from tests.certificates.record import PAPER, RAMP, RATES, Rows, TOLD
from tests.references.walk import Adam, at, stepped, walk

TAGS = "elementwise odd translation_invariant still complex"

CASES = {
    "swa_params": record(
        jopt.swa_params(),
        jopt.swa_params(2, period=3),
        tags=TAGS,
        needs="params",
        memory=1,
    ),
    "lawa_params": record(
        jopt.lawa_params(2, period=1),
        jopt.lawa_params(2, period=2),
        tags=TAGS,
        needs="params",
        memory=3,
    ),
    "power_ema_params": record(
        jopt.power_ema_params(),
        jopt.power_ema_params(gamma=0.5),
        tags=TAGS,
        needs="params",
        memory=1,
    ),
    "snapshot_params": record(
        jopt.snapshot_params([1, 3]),
        jopt.snapshot_params([2, 5]),
        tags=TAGS,
        needs="params",
        memory=2,
    ),
}


def plain(first, grads, lr):
    """The way of SGD; the first element is the start."""
    return [first, *walk(first, grads, lambda p, g, t: stepped(p, g, at(lr, t)))]


def weighed(path, weights):
    """The sum of some parameters, by their steps."""
    return {k: sum(w * path[i][k] for i, w in weights.items()) for k in path[0]}


def along(average):
    """Make a rule `(path, t) -> weights of the steps` a transcription."""

    def run(first, grads, lr=0.1, **settings):
        path = plain(first, grads, lr)
        steps = range(1, len(path))
        return [weighed(path, average(path, t, **settings)) for t in steps]

    return run


@along
def swa(path, t, start=0, period=1):
    taken = [i for i in range(1, t + 1) if i > start and (i - start) % period == 0]
    return dict.fromkeys(taken, 1 / len(taken)) if taken else {t: 1.0}


@along
def lawa(path, t, k, period):
    taken = [i for i in range(1, t + 1) if i % period == 0][-k:]
    return dict.fromkeys(taken, 1 / len(taken)) if taken else {t: 1.0}


@along
def power(path, t, gamma):
    """The weight of parameters is the power of their step, summed up to it."""
    return {
        i: (i / t) ** (gamma + 1) - ((i - 1) / t) ** (gamma + 1)
        for i in range(1, t + 1)
    }


@along
def ema(path, t, decay, debias, start=0, warmup=False):
    """A decay for each step; their products are the weights."""
    if t <= start:
        return {t: 1.0}
    seen = range(1, t - start + 1)
    b = {i: min(decay, i / (9 + i)) if warmup else decay for i in seen}
    rest = {i: np.prod([b[j] for j in seen if j > i]) for i in range(t - start + 1)}
    weights = {i: (1 - b[i]) * rest[i] for i in seen}
    if not debias:
        weights[0] = rest[0]
    total = sum(weights.values())
    return {start + i: w / total for i, w in weights.items()}


def synced(first, grads, lr, decay, every):
    average = dict(first)

    def step(p, g, t):
        p = stepped(p, g, at(lr, t))
        for k in p:
            average[k] = decay * average[k] + (1 - decay) * p[k]
        return p if (t + 1) % every else dict(average)

    return walk(first, grads, step)


def copies(first, grads, lr, steps):
    path = plain(first, grads, lr)
    none = {k: 0.0 * x for k, x in first.items()}
    return [
        {k: np.stack([path[i][k] if i <= t else none[k] for i in steps]) for k in first}
        for t in range(1, len(path))
    ]


def lookahead(first, grads, lr, every, share):
    adam, slow = Adam(), dict(first)

    def step(p, g, t):
        p = stepped(p, adam(g), at(lr, t))
        if (t + 1) % every:
            return p
        for k in p:
            slow[k] = slow[k] + share * (p[k] - slow[k])
        return dict(slow)

    return walk(first, grads, step)


def behind(stage, rate=0.1):
    return jopt.chain(jopt.sgd(rate), stage)


def kept(state, params):
    del params
    return state[-1].kept


AVERAGED = "torch.optim.swa_utils.AveragedModel"
READ = {"problem": "tree", "read": jopt.averaged_params}

CERTIFICATES = [
    Rows(
        "swa_params",
        AVERAGED,
        [
            (behind(jopt.swa_params()), {"lr": 0.1}),
            (behind(jopt.swa_params(), RAMP), {"lr": RATES}),
        ],
        **READ,
    ),
    Rows(
        "swa_params",
        PAPER,
        [
            (behind(jopt.swa_params(4)), {"start": 4}),
            (
                behind(jopt.swa_params(2, 3), RAMP),
                {"lr": RATES, "start": 2, "period": 3},
            ),
        ],
        transcription=swa,
        **READ,
    ),
    Rows(
        "lawa_params",
        PAPER,
        [
            (behind(jopt.lawa_params(k, period)), {"k": k, "period": period})
            for k, period in ((3, 1), (2, 3), (5, 2))
        ],
        transcription=lawa,
        **READ,
    ),
    Rows(
        "power_ema_params",
        PAPER,
        [
            (behind(jopt.power_ema_params(gamma)), {"gamma": gamma})
            for gamma in (0.0, 3.56, 6.94)
        ],
        transcription=power,
        **READ,
    ),
    Rows(
        "ema_params",
        AVERAGED,
        [
            (
                behind(jopt.ema_params(b, debias=False, start_step=1), rate),
                {"lr": lr, "decay": b},
            )
            for b, rate, lr in ((0.5, 0.1, 0.1), (0.99, 0.1, 0.1), (0.9, RAMP, RATES))
        ],
        **READ,
    ),
    Rows(
        "ema_params",
        PAPER,
        [
            (behind(jopt.ema_params(0.9)), {"decay": 0.9, "debias": True}),
            (
                behind(jopt.ema_params(0.9, debias=False)),
                {"decay": 0.9, "debias": False},
            ),
            (
                behind(jopt.ema_params(0.4, warmup=True)),
                {"decay": 0.4, "debias": True, "warmup": True},
            ),
            (
                behind(jopt.ema_params(0.8, debias=False, warmup=True, start_step=3)),
                {"decay": 0.8, "debias": False, "warmup": True, "start": 3},
            ),
            (
                behind(jopt.ema_params(0.8, start_step=4)),
                {"decay": 0.8, "debias": True, "start": 4},
            ),
        ],
        transcription=ema,
        **READ,
    ),
    Rows(
        "ema_params",
        f"{TOLD}the rule",
        [
            (
                behind(jopt.ema_params(b, debias=False, sync_period=n)),
                {"lr": 0.1, "decay": b, "every": n},
            )
            for b, n in ((0.5, 1), (0.9, 3))
        ],
        "tree",
        synced,
    ),
    Rows(
        "snapshot_params",
        PAPER,
        [
            (behind(jopt.snapshot_params(steps)), {"lr": 0.1, "steps": steps})
            for steps in ([1, 3], [2, 5, 10])
        ],
        "tree",
        copies,
        read=kept,
    ),
    Rows(
        "lookahead",
        PAPER,
        [
            (
                jopt.lookahead(jopt.adam(rate), n, a),
                {"lr": lr, "every": n, "share": a},
            )
            for rate, lr, n, a in (
                (0.1, 0.1, 2, 0.5),
                (0.1, 0.1, 3, 0.8),
                (RAMP, RATES, 4, 0.5),
            )
        ],
        "tree",
        lookahead,
    ),
]
