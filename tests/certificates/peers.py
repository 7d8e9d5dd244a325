"""How far others are from the sources: optax, and packages that are no reference."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from tests import records
from tests.certificates.peer import Peer, Unsound
from tests.certificates.record import RATES
from tests.references import modern

MEASURED = "0.2.8"  # the version of optax whose differences are told here


def _same(
    certificate: str, call: str, make: Callable[[], Any], bound: float = 1e-9
) -> Peer:
    return Peer(certificate, call, make, bound)


_ZERO_STEP = "the first warm-up step has rate 0"

PEERS = [
    Peer(
        "nadam-0",
        "nadam(0.1)",
        lambda: optax.nadam(0.1),
        None,
        "constant `b1` in the place of the momentum schedule; here "
        "`momentum_decay=None`",
    ),
    Peer(
        "nadamw-1",
        "nadamw(0.1, weight_decay=0.01)",
        lambda: optax.nadamw(0.1, weight_decay=0.01),
        None,
        "as `nadam`",
    ),
    Peer(
        "amsgrad-0",
        "amsgrad(0.1)",
        lambda: optax.amsgrad(0.1),
        None,
        "takes the maximum of the bias-corrected second moment; here `corrected=True`",
    ),
    Peer(
        "prodigy-0",
        "contrib.prodigy()",
        lambda: optax.contrib.prodigy(),
        None,
        "corrects for bias, which the package does on request; here "
        "`use_bias_correction=True`",
    ),
    Peer(
        "lars-1",
        "lars(1.0, 0.3, trust_coefficient=0.1, eps=1e-8, nesterov=True)",
        lambda: optax.lars(
            1.0, 0.3, trust_coefficient=0.1, eps=1e-8, momentum=0.9, nesterov=True
        ),
        None,
        "divides by the norm of gradient plus decay, not by the sum of their norms; "
        'here `decay_norm="joint"`',
    ),
    Peer(
        "muon-0",
        "contrib.muon(0.02)",
        lambda: optax.contrib.muon(0.02),
        None,
        "corrects the look-ahead for bias, as NAdam; here `bias_correction=True`",
    ),
    _same(
        "schedule_free_adamw-0",
        "contrib.schedule_free_adamw()",
        lambda: optax.contrib.schedule_free_adamw(),
    ),
    Peer(
        "schedule_free_adamw-1",
        "contrib.schedule_free_adamw(0.1, 5, weight_decay=0.1)",
        lambda: optax.contrib.schedule_free_adamw(0.1, 5, weight_decay=0.1),
        None,
        _ZERO_STEP,
    ),
    _same(
        "schedule_free_sgd-0",
        "contrib.schedule_free_sgd(0.1)",
        lambda: optax.contrib.schedule_free_sgd(0.1),
    ),
    Peer(
        "schedule_free_sgd-1",
        "contrib.schedule_free_sgd(0.1, 4, weight_decay=0.1)",
        lambda: optax.contrib.schedule_free_sgd(0.1, 4, weight_decay=0.1),
        None,
        _ZERO_STEP,
    ),
    Peer(
        "adagrad-1",
        "adagrad(0.1, 0.5, 0.1)",
        lambda: optax.adagrad(0.1, 0.5, 0.1),
        None,
        "`eps` inside the root; here `eps_in_sqrt=True`",
    ),
    Peer(
        "radam-1",
        "radam(0.1, 0.5, 0.8, 0.1)",
        lambda: optax.radam(0.1, 0.5, 0.8, 0.1),
        None,
        "`eps` after the bias correction; here `eps_hat=False`",
    ),
    _same(
        "sgd-2",
        "sgd(0.1, 0.8, nesterov=True) after add_decayed_weights(0.1)",
        lambda: optax.chain(
            optax.add_decayed_weights(0.1), optax.sgd(0.1, 0.8, nesterov=True)
        ),
    ),
    _same("adam-0", "adam(0.1)", lambda: optax.adam(0.1)),
    _same(
        "adamw-1",
        "adamw(0.1, 0.8, 0.95, weight_decay=0.5)",
        lambda: optax.adamw(0.1, 0.8, 0.95, weight_decay=0.5),
    ),
    _same("adadelta-0", "adadelta(1.0)", lambda: optax.adadelta(1.0)),
    _same("adamax-0", "adamax(0.1)", lambda: optax.adamax(0.1)),
    _same(
        "adamaxw-0",
        "adamaxw(0.1, weight_decay=0.01)",
        lambda: optax.adamaxw(0.1, weight_decay=0.01),
    ),
    _same(
        "rmsprop-1",
        "rmsprop(0.1, 0.9, 0.1, eps_in_sqrt=False, momentum=0.9)",
        lambda: optax.rmsprop(0.1, 0.9, 0.1, eps_in_sqrt=False, momentum=0.9),
    ),
    _same(
        "lion-1",
        "lion(0.1, 0.5, 0.8, weight_decay=0.3)",
        lambda: optax.lion(0.1, 0.5, 0.8, weight_decay=0.3),
    ),
    _same("signum-0", "signum(0.1)", lambda: optax.signum(0.1)),
    _same("sign_sgd-0", "sign_sgd(0.1)", lambda: optax.sign_sgd(0.1)),
    _same(
        "lamb-1",
        "lamb(0.1, 0.5, 0.8, 0.1, weight_decay=0.3)",
        lambda: optax.lamb(0.1, 0.5, 0.8, 0.1, weight_decay=0.3),
    ),
    # its decay is formed in float32 whatever the setting
    Peer(
        "adafactor-paper-1",
        "adafactor(0.1)",
        lambda: optax.adafactor(0.1),
        1e-6,
        "its decay is formed in float32",
    ),
]


PEERS += records.everything("PEERS")


UNSOUND = [
    Unsound(
        "pytorch_optimizer.Lamb",
        {"lr": 0.1, "weight_decay": 0.3, "weight_decouple": False},
        modern.lamb,
        {"lr": 0.1, "weight_decay": 0.3},
        "Algorithm 2 corrects both moments for bias before the trust ratio is formed. "
        "This class never corrects the second moment, and divides by `1 - b1^t` after "
        "the ratio, where that changes the length which the ratio has just set. (Its "
        "docstring names version 3 of the preprint, without bias correction; then the "
        "first moment should not be corrected either.) It also bounds the norm of the "
        "parameters by 10 and adds `eps` to the norm of the update. With its default "
        "`weight_decouple=True` the decay is outside the ratio as well. timm's `Lamb` "
        "with `max_grad_norm=None, always_adapt=True` follows the algorithm, and is "
        "the reference above.",
    ),
    Unsound(
        "timm.optim.Lars",
        {"lr": RATES, "weight_decay": 0.3, "trust_coeff": 0.1, "momentum": 0.9},
        modern.lars,
        {"lr": RATES, "weight_decay": 0.3, "trust": 0.1, "momentum": 0.9},
        "Algorithm 1 has the learning rate inside the momentum: "
        "`v = m v + rate * ratio * (g + decay * w)`, `w = w - v`. Here, as in "
        "`pytorch_optimizer.LARS`, it multiplies the momentum. That is the same while "
        "the rate is constant, so these classes are references at constant rates "
        "alone; a scheduled rate is certified by the transcription.",
    ),
    Unsound(
        "timm.optim.Lamb",
        {"lr": 0.1, "weight_decay": 0.0},
        modern.lamb,
        {"lr": 0.1},
        "By default the gradients are first clipped to a global norm of 1, which is "
        "not in the paper, and tensors without decay take plain Adam steps. Both are "
        "options.",
    ),
]


def nan_lengths() -> int:
    """Of 199 lengths, those where optax's schedule of power 0.5 ends in NaN."""
    ends = (
        jax.jit(optax.polynomial_schedule(0.3, 0.1, 0.5, length))(length)
        for length in range(1, 200)
    )
    return sum(bool(jnp.isnan(end)) for end in ends)


UNSOUND += records.everything("UNSOUND")
