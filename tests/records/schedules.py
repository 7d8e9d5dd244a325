"""Records of the schedules that PyTorch, Keras, TensorFlow and papers have besides."""

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from tests.case import FADING
from tests.certificates.record import PAPER, TOLD

SCHEDULES = {
    "cooldown": [
        jopt.cooldown(FADING, 5, 10),
        jopt.cooldown(jopt.constant_schedule(0.1), 0, 1, 0.01, "exponential"),
        jopt.cooldown(jopt.step_decay(0.1, 4), 7, 9, 0.02, "mirror-cosine"),
    ],
    "cosine_decay_schedule": [jopt.cosine_decay_schedule(0.1, 8, 0.1, rises=True)],
    "cosine_restarts_schedule": [jopt.cosine_restarts_schedule(0.1, 5, t_mul=1.5)],
    "cumulative_schedule": [
        jopt.cumulative_schedule(0.1, FADING, 12),
        jopt.cumulative_schedule(0.1, 0.9, 1),
    ],
    "cyclic_schedule": [
        jopt.cyclic_schedule(0.01, 0.1, 5, 3),
        jopt.cyclic_schedule(0.9, 0.8, 4, mode="triangular2"),
        jopt.cyclic_schedule(0.01, 0.1, 1, 1, mode="exp_range", gamma=0.9),
    ],
    "ema_decay_schedule": [
        jopt.ema_decay_schedule(0.99),
        jopt.ema_decay_schedule(0.9, delay=3),
    ],
    "epoch_schedule": [
        jopt.epoch_schedule(FADING, 3),
        jopt.epoch_schedule(jopt.cosine_decay_schedule(0.1, 4), 1),
    ],
    "inverse_time_decay": [
        jopt.inverse_time_decay(0.1, 10, 0.5),
        jopt.inverse_time_decay(0.1, 7, 2.0, 3, staircase=True),
    ],
    "linear_cosine_decay": [
        jopt.linear_cosine_decay(0.1, 20),
        jopt.linear_cosine_decay(0.1, 9, num_periods=2.0, alpha=0.1, beta=0.01),
    ],
    "natural_exp_decay": [
        jopt.natural_exp_decay(0.1, 10, 0.5),
        jopt.natural_exp_decay(0.1, 7, 2.0, 3, staircase=True),
    ],
    "noisy_linear_cosine_decay": [
        jopt.noisy_linear_cosine_decay(0.1, 20, 0, 0.01),
        jopt.noisy_linear_cosine_decay(0.1, 9, 7, 0.04, num_periods=2.0),
    ],
    "onecycle_schedule": [
        jopt.onecycle_schedule(0.004, 0.1, 4e-7, 21),
        jopt.onecycle_schedule(0.95, 0.85, 0.95, 17, 0.4, "linear", three_phase=True),
    ],
    "polynomial_schedule": [
        jopt.polynomial_schedule(0.1, 0.01, 2.0, 7, cycle=True),
        jopt.polynomial_schedule(0.1, 0.01, 1.0, 1, 3, cycle=True),
    ],
    "power_schedule": [
        jopt.power_schedule(0.1, 1.0),
        jopt.power_schedule(0.02, 4.6, 4096, exponent=0.6),
    ],
    "rex_schedule": [
        jopt.rex_schedule(0.1, 0.01, 20),
        jopt.rex_schedule(0.1, 0.0, 1, transition_begin=5),
    ],
    "round_schedule": [
        jopt.round_schedule(jopt.linear_schedule(32, 256, 30), 8),
        jopt.round_schedule(jopt.exponential_decay(1000.0, 9, 0.7)),
    ],
    "warmup": [
        jopt.warmup(FADING, 5, 0.01, kind="exponential"),
        jopt.warmup(FADING, 5, kind="polynomial", power=0.5),
    ],
    "wsd_schedule": [
        jopt.wsd_schedule(0.0, 0.1, 5, 30, 10, 0.01, cooldown=shape)
        for shape in ("square", "mirror-cosine", "rex", "exponential")
    ],
}


def train(name):
    """A source that is told in NumPy: TensorFlow's functions of version 1."""
    return f"{TOLD}tf.compat.v1.train.{name}"


def part(t, begin, steps):
    return np.clip((t - begin) / steps, 0.0, 1.0)


def level(t, begin, steps, start, end, fall):
    """From `start` to `end` by a curve from 1 to 0."""
    return end + (start - end) * fall(part(t, begin, steps))


def wave(x):
    return (1 + np.cos(np.pi * x)) / 2


FALLS = {
    "linear": lambda x: 1 - x,
    "cosine": wave,
    "1-sqrt": lambda x: 1 - np.sqrt(x),
    "square": lambda x: 1 - x**2,
    "mirror-cosine": lambda x: 2 * (1 - x) - wave(x),
    "rex": lambda x: (1 - x) / (1 / 2 + (1 - x) / 2),
}


def stable(shape):
    """Warm-up over 100 steps to 0.3, level to 600, down to 0.03 at 900."""

    def curve(t):
        if shape == "exponential":
            late = 0.3 * 0.1 ** part(t, 600, 300)
        else:
            late = level(t, 600, 300, 0.3, 0.03, FALLS[shape])
        return np.where(t < 100, 0.3 * t / 100, late)

    return curve


def linear_cosine(t, decay_steps, periods, alpha, beta, noise=0.0):
    s = np.minimum(t, decay_steps)
    linear = (decay_steps - s) / decay_steps
    cosine = 0.5 * (1.0 + np.cos(np.pi * 2.0 * periods * s / decay_steps))
    return 0.3 * ((alpha + linear + noise) * cosine + beta)


def noisy_linear_cosine(seed, variance, decay, decay_steps, *rest):
    """TensorFlow draws anew in each call; the draws here are those of JAX."""

    def curve(t):
        keys = [jax.random.fold_in(jax.random.key(seed), int(s)) for s in t]
        draws = [float(jax.random.normal(key, (), np.float32)) for key in keys]
        spread = np.sqrt(variance / (1.0 + np.minimum(t, decay_steps)) ** decay)
        return linear_cosine(t, decay_steps, *rest, noise=spread * np.array(draws))

    return curve


def polynomial_cycle(decay_steps, end, power):
    def curve(t):
        multiple = decay_steps * np.maximum(np.ceil(t / decay_steps), 1)
        return (0.3 - end) * (1 - t / multiple) ** power + end

    return curve


def warmed_up(rise):
    """From 0.03 to 0.3 in 250 steps, then halved every 100 steps."""
    return lambda t: np.where(
        t < 250,
        rise(np.minimum(t, 250) / 250),
        0.3 * 0.5 ** (np.maximum(t - 250, 0) // 100),
    )


def running_product(t):
    return np.cumprod([0.3] + [1 - 0.5 / (s + 1) for s in t[1:]])


def floats(t):
    return jnp.asarray(t, jnp.result_type(float))


def factor(t):
    return 1 - 0.5 / (floats(t) + 1.0)


def lowered(t):
    return 0.3 * 0.95 ** floats(t)


def epochs(t):
    return 0.3 * 0.9 ** (t // 20)


HALVING = jopt.step_decay(0.3, 100, 0.5)
BOUNDS = {"base_lr": 0.03, "max_lr": 0.3, "step_size_up": 70, "step_size_down": 130}
MOMENTUM = {"reads": "momentum"}
CYCLES = [{}, {"mode": "triangular2"}, {"mode": "exp_range", "gamma": 0.999}]
WARM = {"initial_learning_rate": 0.03, "warmup_target": 0.3, "warmup_steps": 150}
ONE = {"max_lr": 0.3, "total_steps": 1000}
FIRST, LAST = 0.3 / 25, 0.3 / 25 / 1e4

SCHEDULE_CERTIFICATES = {
    "cooldown": [
        (
            (jopt.exponential_decay(0.3, 100, 0.7), 400, 200, 0.01, shape),
            PAPER,
            lambda t, fall=fall: np.where(
                t < 400,
                0.3 * 0.7 ** (t / 100),
                level(t, 400, 200, 0.3 * 0.7**4, 0.01, fall),
            ),
        )
        for shape, fall in FALLS.items()
    ]
    + [
        (
            (0.3, 400, 200, 0.003, "exponential"),
            PAPER,
            lambda t: 0.3 * 0.01 ** part(t, 400, 200),
        )
    ],
    "constant_schedule": [
        ((0.3,), "torch.LambdaLR", {"lr_lambda": lambda t: 1.0}),
    ],
    "cosine_decay_schedule": [
        (
            (0.3, 150, 0.1, 1.0, True),
            "torch.CosineAnnealingLR",
            {"T_max": 150, "eta_min": 0.03},
        ),
        ((0.3, 1, 0.0, 1.0, True), PAPER, lambda t: 0.3 * wave(t)),
        (
            (0.3, 700, 0.1),
            train("cosine_decay"),
            lambda t: 0.3 * ((1 - 0.1) * wave(np.minimum(t, 700) / 700) + 0.1),
        ),
    ],
    "cosine_restarts_schedule": [
        (
            (0.3, 90, 2, 0.8, 0.1),
            "keras.CosineDecayRestarts",
            {"first_decay_steps": 90, "m_mul": 0.8, "alpha": 0.1},
        ),
        (
            (0.3, 77, 1.3, 0.9),
            "keras.CosineDecayRestarts",
            {"first_decay_steps": 77, "t_mul": 1.3, "m_mul": 0.9},
        ),
        (
            (0.3, 300, 1, 0.5),
            train("cosine_decay_restarts"),
            lambda t: 0.3 * 0.5 ** (t // 300) * wave(t % 300 / 300),
        ),
    ],
    "cumulative_schedule": [
        (
            (0.3, factor, 1000),
            "torch.MultiplicativeLR",
            {"lr_lambda": lambda t: 1 - 0.5 / (t + 1)},
        ),
        ((0.3, factor, 1000), PAPER, running_product),
        ((0.3, 0.95, 90), PAPER, lambda t: 0.3 * 0.95 ** np.minimum(t, 90)),
    ],
    "cyclic_schedule": [
        ((0.03, 0.3, 70, 130, *given.values()), "torch.CyclicLR", BOUNDS | given)
        for given in CYCLES
    ]
    + [
        ((0.9, 0.8, 70, 130, *given.values()), "torch.CyclicLR", BOUNDS | given | more)
        for given in CYCLES[:2]
        for more in [MOMENTUM]
    ]
    + [
        (
            (0.03, 0.3, 40),
            "torch.CyclicLR",
            {"base_lr": 0.03, "max_lr": 0.3, "step_size_up": 40},
        ),
    ],
    "ema_decay_schedule": [
        (
            (decay, delay),
            f"{TOLD}tf.train.ExponentialMovingAverage" if delay == 10 else PAPER,
            lambda t, d=decay, w=delay: np.minimum(d, (1 + t) / (w + t)),
        )
        for decay, delay in ((0.99, 10), (0.5, 10), (0.9999, 30))
    ],
    "epoch_schedule": [
        ((jopt.exponential_decay(0.3, 1, 0.9), 20), PAPER, epochs),
        ((jopt.step_decay(0.3, 3, 0.1), 7), PAPER, lambda t: 0.3 * 0.1 ** (t // 21)),
        (
            (jopt.linear_schedule(0.3, 0.1, 5), 100),
            PAPER,
            lambda t: 0.3 - 0.04 * np.minimum(t // 100, 5),
        ),
    ],
    "exponential_decay": [
        (
            (0.3, 90, 0.7, 0, stairs),
            train("exponential_decay"),
            lambda t, cut=cut: 0.3 * 0.7 ** cut(t / 90),
        )
        for stairs, cut in ((False, np.array), (True, np.floor))
    ],
    "from_callable": [
        ((lowered,), "torch.LambdaLR", {"lr_lambda": lambda t: 0.95**t}),
    ],
    "interpolate_schedule": [
        (
            ((0, 5), (0.1, 0.3), "constant"),
            "torch.ConstantLR",
            {"factor": 1 / 3, "total_iters": 5},
        ),
        (
            ((0, 301, 701), (0.3, 0.1, 0.01), "constant"),
            train("piecewise_constant"),
            lambda t: np.where(t <= 300, 0.3, np.where(t <= 700, 0.1, 0.01)),
        ),
        (  # a momentum that warms up and cools down
            ((0, 300, 950, 1000), (0.85, 0.95, 0.95, 0.85)),
            PAPER,
            lambda t: np.minimum(
                0.85 + 0.1 * np.minimum(t / 300, 1),
                0.95 - 0.1 * np.maximum(t - 950, 0) / 50,
            ),
        ),
    ],
    "inverse_time_decay": [
        (
            (0.3, 90, 0.5),
            "keras.InverseTimeDecay",
            {"decay_steps": 90, "decay_rate": 0.5},
        ),
        (
            (0.3, 90, 0.5, 0, True),
            "keras.InverseTimeDecay",
            {"decay_steps": 90, "decay_rate": 0.5, "staircase": True},
        ),
        (
            (0.3, 1, 0.02),
            train("inverse_time_decay"),
            lambda t: 0.3 / (1 + 0.02 * t),
        ),
        (
            (0.3, 90, 0.5, 200, True),
            PAPER,
            lambda t: 0.3 / (1 + 0.5 * (np.maximum(t - 200, 0) // 90)),
        ),
    ],
    "linear_cosine_decay": [
        (
            (0.3, 800, *rest),
            train("linear_cosine_decay"),
            lambda t, rest=rest: linear_cosine(t, 800, *rest),
        )
        for rest in ((0.5, 0.0, 0.001), (3.0, 0.0, 0.01), (0.5, 0.2, 0.0))
    ],
    "natural_exp_decay": [
        (
            (0.3, 90, 0.5, 0, stairs),
            train("natural_exp_decay"),
            lambda t, cut=cut: 0.3 * np.exp(-0.5 * cut(t / 90)),
        )
        for stairs, cut in ((False, np.array), (True, np.floor))
    ]
    + [
        (
            (0.3, 90, 2.0, 200),
            PAPER,
            lambda t: 0.3 * np.exp(-2.0 * np.maximum(t - 200, 0) / 90),
        ),
    ],
    "noisy_linear_cosine_decay": [
        (
            (0.3, 800, seed, *rest),
            train("noisy_linear_cosine_decay"),
            noisy_linear_cosine(seed, *rest[:2], 800, *rest[2:]),
        )
        for seed, *rest in (
            (0, 1.0, 0.55, 0.5, 0.0, 0.001),
            (1, 0.01, 0.8, 2.0, 0.1, 0.01),
            (2, 0.0, 0.55, 0.5, 0.0, 0.001),
        )
    ],
    "onecycle_schedule": [
        ((FIRST, 0.3, LAST, 1000), "torch.OneCycleLR", ONE),
        (
            (FIRST, 0.3, LAST, 777, 0.31, "linear"),
            "torch.OneCycleLR",
            ONE | {"total_steps": 777, "pct_start": 0.31, "anneal_strategy": "linear"},
        ),
        (
            (FIRST, 0.3, LAST, 777, 0.31, "cosine", True),
            "torch.OneCycleLR",
            ONE | {"total_steps": 777, "pct_start": 0.31, "three_phase": True},
        ),
        ((0.95, 0.85, 0.95, 1000), "torch.OneCycleLR", ONE | MOMENTUM),
        (
            (0.95, 0.85, 0.95, 999, 0.3, "linear", True),
            "torch.OneCycleLR",
            ONE
            | {"total_steps": 999, "anneal_strategy": "linear", "three_phase": True}
            | MOMENTUM,
        ),
    ],
    "piecewise_constant_schedule": [
        (
            (0.1, {5: 3.0}),
            "torch.ConstantLR",
            {"factor": 1 / 3, "total_iters": 5},
        ),
    ],
    "polynomial_schedule": [
        (
            (0.3, 0.01, 2.0, 150, 0, True),
            "keras.PolynomialDecay",
            {"decay_steps": 150, "end_learning_rate": 0.01, "power": 2.0}
            | {"cycle": True},
        ),
        (
            (0.3, 0.01, 0.5, 90, 0, True),
            train("polynomial_decay"),
            polynomial_cycle(90, 0.01, 0.5),
        ),
        (
            (0.3, 0.0001, 1.0, 700),
            train("polynomial_decay"),
            lambda t: (0.3 - 0.0001) * (1 - np.minimum(t, 700) / 700) + 0.0001,
        ),
        (  # PowerCool: min(lr, c (T - t)^1.2)
            (0.3, 0.0, 1.2, 400, 600),
            PAPER,
            lambda t: np.minimum(0.3, 0.3 / 400**1.2 * (1000 - t) ** 1.2),
        ),
    ],
    "power_schedule": [
        (
            (0.3, scale, tokens, power),
            PAPER,
            lambda t, c=scale, n=tokens, p=power: np.minimum(
                0.3, c * (np.maximum(t, 1e-9) * n) ** -p
            ),
        )
        for scale, tokens, power in ((4.6, 1, 0.51), (4.6 * 128, 524288, 0.51))
    ]
    + [((0.3, 1.0, 1, 1.0), PAPER, lambda t: np.minimum(0.3, 1 / np.maximum(t, 1)))],
    "rex_schedule": [
        (
            (0.3, end, steps, begin),
            PAPER,
            lambda t, e=end, s=steps, b=begin: level(t, b, s, 0.3, e, FALLS["rex"]),
        )
        for end, steps, begin in ((0.0, 1000, 0), (0.03, 600, 0), (0.0, 500, 300))
    ],
    "round_schedule": [
        (
            (jopt.linear_schedule(32.0, 513.0, 900), 32),
            PAPER,
            lambda t: 32 * np.round((32 + 481 * np.minimum(t, 900) / 900) / 32),
        ),
        (
            (jopt.inverse_time_decay(1e4, 9, 1.0),),
            PAPER,
            lambda t: np.round(9e4 / (9 + t)),
        ),
        ((7.3, 2), PAPER, lambda t: 8.0 + 0 * t),
    ],
    "warmup": [
        ((HALVING, 250, 0.03), PAPER, warmed_up(lambda x: 0.03 + 0.27 * x)),
        (
            (HALVING, 250, 0.03, "cosine"),
            PAPER,
            warmed_up(lambda x: 0.3 - 0.27 * wave(x)),
        ),
        (
            (HALVING, 250, 0.03, "polynomial", 3.0),
            PAPER,
            warmed_up(lambda x: 0.03 + 0.27 * x**3),
        ),
        (
            (HALVING, 250, 0.03, "exponential"),
            f"{TOLD}mmcv's warm-up 'exp'",
            warmed_up(lambda x: 0.3 * 0.1 ** (1 - x)),
        ),
    ],
    "warmup_cosine_decay_schedule": [
        (
            (0.03, 0.3, 150, 850, 0.03),
            "keras.CosineDecay",
            WARM | {"decay_steps": 700, "alpha": 0.1},
        ),
    ],
    "wsd_schedule": [
        ((0.0, 0.3, 100, 900, 300, 0.03, shape), PAPER, stable(shape))
        for shape in (*FALLS, "exponential")
    ]
    + [
        (
            (0.0, 0.3, 100, 900, 300, 0.0, "square"),
            "pytorch_optimizer.get_wsd_schedule",
            {"num_warmup_steps": 100, "num_stable_steps": 500}
            | {"num_decay_steps": 300, "cooldown_type": "1-square"},
        ),
        (  # D2Z: a warm-up, then straight to 0
            (0.0, 0.3, 100, 1000, 900),
            PAPER,
            lambda t: 0.3 * np.minimum(t / 100, (1000 - t) / 900),
        ),
    ],
}
