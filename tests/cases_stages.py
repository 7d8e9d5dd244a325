"""Records of stages and wrappers."""

import jax
import optax

import jopt
from tests.case import (
    Case,
    FADING,
    FREE,
    is_matrix,
    is_vector,
    MATRICES,
    PLAIN,
    RATE,
    record,
    SLOW,
    STEP,
    Vary,
)

BLIND = (
    "optax makes its state without regard to the layout: call its `init` outside "
    "`jit`, or give `out_shardings`"
)
SPREADLESS = (
    "the spread of one gradient is 0, that of the next few a difference of nearly "
    "equal numbers, and both are divided by"
)

STAGES: dict[str, list[Case]] = {
    "adaptive_grad_clip": record(
        jopt.adaptive_grad_clip(5.0),
        jopt.adaptive_grad_clip(3.0, eps=0.1),
        tags="odd still complex matrix",
        needs="params",
    ),
    "add_decayed_weights": record(
        jopt.add_decayed_weights(0.1),
        jopt.add_decayed_weights(0.1, mask=is_matrix),
        tags="elementwise odd complex",
        needs="params",
    ),
    "add_noise": record(
        jopt.add_noise(0.01, 0.55, key=0),
        jopt.add_noise(1.0, 0.0, key=jax.random.key(1)),
        tags="translation_invariant stochastic",
    ),
    "centralize": record(
        jopt.centralize(),
        jopt.centralize(unit_axis=0),
        tags="odd translation_invariant still complex matrix",
    ),
    "clip": record(jopt.clip(1.0), jopt.clip(0.1), tags=FREE),
    "clip_by_block_rms": record(
        jopt.clip_by_block_rms(3.5),
        jopt.clip_by_block_rms(10.0),
        tags="odd translation_invariant still complex",
    ),
    "clip_by_global_norm": record(
        jopt.clip_by_global_norm(45.0),
        jopt.clip_by_global_norm(60.0),
        tags="odd translation_invariant still complex global_scalar",
    ),
    "ema": record(jopt.ema(0.9), jopt.ema(0.5, debias=False), tags=FREE, memory=1),
    "ema_params": record(
        jopt.ema_params(0.9),
        jopt.ema_params(0.9, debias=False),
        jopt.ema_params(0.9, warmup=True, start_step=2),
        jopt.ema_params(0.5, debias=False, sync_period=2),
        tags=FREE,
        needs="params",
        memory=1,
    ),
    "freeze": record(jopt.freeze(is_matrix), jopt.freeze(is_vector), tags=FREE),
    "identity": record(jopt.identity(), tags=FREE),
    "monitor": record(jopt.monitor(), jopt.monitor("grads", per_leaf=True), tags=FREE),
    "reduce_on_plateau": record(
        jopt.reduce_on_plateau(),
        jopt.reduce_on_plateau(0.5, patience=1, cooldown=1),
        tags=FREE,
        needs="value",
    ),
    "scale": record(jopt.scale(0.5), Vary(jopt.scale(-0.5), "+descends"), tags=FREE),
    "scale_by_adadelta": record(
        jopt.scale_by_adadelta(),
        jopt.scale_by_adadelta(0.5),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
    "scale_by_adam": record(
        jopt.scale_by_adam(),
        jopt.scale_by_adam(0.5, 0.9, nesterov=True),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
    "scale_by_adamax": record(
        jopt.scale_by_adamax(),
        jopt.scale_by_adamax(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
    "scale_by_amsgrad": record(
        jopt.scale_by_amsgrad(),
        jopt.scale_by_amsgrad(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=3,
    ),
    "scale_by_factored_rms": record(
        jopt.scale_by_factored_rms(),
        Vary(
            jopt.scale_by_factored_rms(min_dim_size_to_factor=2),
            "-elementwise +matrix",
            memory=10 / 15,
        ),
        tags=f"{FREE} scale_invariant",
        memory=1,
    ),
    "scale_by_lars": record(
        jopt.scale_by_lars(),
        Vary(jopt.scale_by_lars(weight_decay=0.1), "-scale_invariant -still"),
        tags="odd still complex scale_invariant",
        needs="params",
    ),
    "scale_by_learning_rate": record(
        jopt.scale_by_learning_rate(RATE),
        Vary(jopt.scale_by_learning_rate(RATE, flip_sign=False), "-descends"),
        jopt.scale_by_learning_rate(FADING),
        tags=STEP,
    ),
    "scale_by_lion": record(
        jopt.scale_by_lion(),
        jopt.scale_by_lion(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=1,
    ),
    "scale_by_muon": record(
        jopt.scale_by_muon(),
        jopt.scale_by_muon("polar_express", nesterov=False),
        tags="odd translation_invariant still complex scale_invariant matrix "
        "matrix_only",
        memory=1,
        like=MATRICES,
    ),
    "scale_by_nadam": record(
        jopt.scale_by_nadam(),
        jopt.scale_by_nadam(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
    "scale_by_param_block_rms": record(
        jopt.scale_by_param_block_rms(),
        jopt.scale_by_param_block_rms(0.1),
        tags="odd still complex",
        needs="params",
    ),
    "scale_by_prodigy": record(
        # with the sign, as it is meant: uphill its estimate does not grow
        jopt.chain(jopt.scale_by_prodigy(1.0, estim_lr0=1e-2), jopt.scale(-1.0)),
        jopt.chain(
            jopt.scale_by_prodigy(1.0, estim_lr0=1e-2, safeguard_warmup=True),
            jopt.scale(-1.0),
        ),
        tags="descends odd translation_invariant still complex scale_invariant "
        "global_scalar",
        needs="params",
        memory=4,
    ),
    "scale_by_radam": record(
        jopt.scale_by_radam(), jopt.scale_by_radam(0.5, 0.9), tags=FREE, memory=2
    ),
    "scale_by_relative_step": record(
        jopt.scale_by_relative_step(RATE),
        jopt.scale_by_relative_step(FADING),
        tags=FREE,
    ),
    "scale_by_rms": record(
        jopt.scale_by_rms(),
        jopt.scale_by_rms(0.5, bias_correction=True),
        tags=f"{FREE} scale_invariant",
        memory=1,
    ),
    "scale_by_rss": record(
        jopt.scale_by_rss(),
        Vary(jopt.scale_by_rss(0.0), "+scale_invariant"),
        tags=FREE,
        memory=1,
    ),
    "scale_by_schedule": record(
        jopt.scale_by_schedule(FADING),
        Vary(jopt.scale_by_schedule(-FADING), "+descends"),
        tags=FREE,
    ),
    "scale_by_schedule_free": record(
        jopt.scale_by_schedule_free(jopt.identity(), RATE),
        Vary(
            jopt.scale_by_schedule_free(jopt.scale_by_rms(), RATE, b1=0.5),
            "+scale_invariant",
            memory=2,
        ),
        tags=STEP,
        needs="params",
        memory=1,
    ),
    "scale_by_sign": record(jopt.scale_by_sign(), tags=f"{FREE} scale_invariant"),
    "scale_by_stddev": record(
        jopt.scale_by_stddev(),
        Vary(
            jopt.scale_by_stddev(0.5, bias_correction=True),
            skips=dict.fromkeys(("N2", "N7", "A3", "A5", "W1"), SPREADLESS),
        ),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
    "scale_by_trust_ratio": record(
        jopt.scale_by_trust_ratio(),
        jopt.scale_by_trust_ratio(min_norm=0.1, trust_coefficient=0.5),
        tags="odd still complex scale_invariant",
        needs="params",
    ),
    "set_to_zero": record(jopt.set_to_zero(), tags=f"{FREE} scale_invariant"),
    "trace": record(
        jopt.trace(0.9),
        jopt.trace(0.9, nesterov=True),
        jopt.trace(0.5, dampening=0.5),
        tags=FREE,
        memory=1,
    ),
}

WRAPPERS: dict[str, list[Case]] = {
    "accumulate": record(
        jopt.accumulate(jopt.signum(RATE), 2),
        Vary(jopt.accumulate(jopt.sgd(RATE), 1), "-scale_invariant", memory=0),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "apply_if_finite": record(
        jopt.apply_if_finite(jopt.signum(RATE)),
        Vary(jopt.apply_if_finite(jopt.adam(RATE)), memory=2),
        tags=f"{STEP} scale_invariant",
        memory=1,
    ),
    "chain": record(
        jopt.chain(jopt.clip_by_global_norm(45.0), jopt.adam(RATE)),
        Vary(
            jopt.chain(),
            f"{PLAIN} +elementwise -descends -global_scalar",
            memory=0,
        ),
        tags="odd translation_invariant still complex descends global_scalar",
        memory=2,
    ),
    "dynamic_loss_scale": record(
        jopt.dynamic_loss_scale(jopt.signum(RATE), initial=1.0),
        Vary(jopt.dynamic_loss_scale(jopt.adam(RATE), growth_interval=2), memory=2),
        tags=f"{STEP} scale_invariant",
        memory=1,
    ),
    "expose": record(
        jopt.expose(jopt.adam(RATE)),
        jopt.expose(jopt.adam(FADING), "learning_rate", "b1"),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "foreign": record(
        jopt.foreign(optax.scale(-0.5)),
        Vary(
            jopt.foreign(optax.trace(0.9)),
            "-descends",
            memory=1,
            skips={
                **dict.fromkeys(("D1", "D2", "D4", "D6"), BLIND),
                "C5": "the trace of optax looks at no shapes, and broadcasts",
            },
        ),
        tags=STEP,
    ),
    "kahan": record(
        jopt.kahan(jopt.adam(SLOW)),
        Vary(jopt.kahan(jopt.sgd(SLOW)), "-scale_invariant", memory=0),
        tags=f"{STEP} scale_invariant compensated",
        needs="params",
        memory=2,
    ),
    "lookahead": record(
        jopt.lookahead(jopt.adam(1.0), sync_period=2),
        jopt.lookahead(jopt.adam(1.0), sync_period=3, reset_state=True),
        tags=f"{STEP} scale_invariant",
        needs="params",
        memory=3,
    ),
    "masked": record(
        jopt.masked(jopt.adam(RATE), "."),
        Vary(
            jopt.masked(jopt.scale(-0.5), is_matrix),
            "-descends -scale_invariant",
            memory=0,
        ),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "master_weights": record(
        jopt.master_weights(jopt.adam(SLOW)),
        Vary(jopt.master_weights(jopt.sgd(SLOW)), "-scale_invariant", memory=0),
        tags=f"{STEP} scale_invariant compensated",
        needs="params",
        memory=2,
    ),
    "named_chain": record(
        jopt.named_chain(("clip", jopt.clip(1.0)), ("adam", jopt.adam(RATE))),
        Vary(jopt.named_chain(("sgd", jopt.sgd(RATE))), memory=0),
        tags=STEP,
        memory=2,
    ),
    "partition": record(
        jopt.partition(
            {"adam": jopt.adam(RATE), "sgd": jopt.sgd(RATE)},
            lambda p: jax.tree.map(lambda x: "adam" if x.ndim > 1 else "sgd", p),
        ),
        Vary(
            jopt.partition(
                {"only": jopt.adam(RATE)}, lambda p: jax.tree.map(lambda _: "only", p)
            ),
            "+scale_invariant",
            memory=2,
        ),
        tags=STEP,
        memory=24 / 15,
    ),
    "round_stochastically": record(
        jopt.round_stochastically(jopt.adam(SLOW), key=0),
        Vary(
            jopt.round_stochastically(jopt.sgd(SLOW), key=0),
            "-scale_invariant",
            memory=0,
        ),
        tags=f"{STEP} scale_invariant compensated",
        needs="params",
        memory=2,
    ),
    "selective_transform": record(
        jopt.selective_transform(jopt.adam(RATE), freeze_mask=is_vector),
        Vary(
            jopt.selective_transform(jopt.sgd(RATE), freeze_mask=is_vector),
            "-scale_invariant",
            memory=0,
        ),
        tags=f"{STEP} scale_invariant",
        memory=24 / 15,
    ),
}
