"""Seeded bugs: for each the text that is changed, and the tests that are to notice."""

import dataclasses

OPTIMIZERS = "jopt/optimizers"
RUN = "tests/test_certificates.py::test_equals_the_stored_run_of_the_package"
LAWS = "tests/test_laws.py::test_transform_obeys_the_laws"
STAGE_LAWS = "tests/test_laws.py::test_stage_of_an_optimizer_obeys_the_short_laws"


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A bug to seed.

    Attributes:
        name: What it is called.
        seeded: What is wrong with it, in words.
        file: Where, from the root of the repository.
        old: A text that stands there once.
        new: What takes its place.
        tests: What pytest is told to run; one of these is to fail.
    """

    name: str
    seeded: str
    file: str
    old: str
    new: str
    tests: str


RULES = [
    Mutant(
        "eps inside the root",
        "sqrt(v + eps) for sqrt(v) + eps",
        f"{OPTIMIZERS}/moments.py",
        "else root + nx.cast(outside, v.dtype)",
        "else nx.sqrt(v + nx.cast(outside, v.dtype))",
        f"{RUN}[adam-0]",
    ),
    Mutant(
        "no bias correction",
        "Adam's second moment is used as it is",
        f"{OPTIMIZERS}/adam.py",
        "        correction = nx.bias_correction(b2, t)\n",
        "        correction = jnp.ones((), jnp.result_type(float))\n",
        f"{RUN}[adam-0]",
    ),
    Mutant(
        "decay after the rate",
        "the weight decay of AdamW is not multiplied by the learning rate",
        f"{OPTIMIZERS}/adam.py",
        "        add_decayed_weights(weight_decay, mask),\n"
        "        scale_by_learning_rate(learning_rate),\n",
        "        scale_by_learning_rate(learning_rate),\n"
        "        add_decayed_weights(weight_decay, mask),\n",
        f"{LAWS}[adamw]",
    ),
    Mutant(
        "count off by one",
        "biases are corrected as of the step that follows",
        "jopt/_core/numerics.py",
        "jnp.asarray(count, dtype) * log_b",
        "(jnp.asarray(count, dtype) + 1) * log_b",
        f"{RUN}[adam-0]",
    ),
    Mutant(
        "decay rates swapped",
        "Adam uses b2 for the first moment and b1 for the second",
        f"{OPTIMIZERS}/adam.py",
        "        mu = moments.averages(updates, state.mu, b1)\n"
        "        nu = moments.averages(moments.squares(updates), state.nu, b2)\n",
        "        mu = moments.averages(updates, state.mu, b2)\n"
        "        nu = moments.averages(moments.squares(updates), state.nu, b1)\n",
        f"{RUN}[adam-1]",
    ),
    Mutant(
        "Lion keeps its direction",
        "b1 in the place of b2 for the momentum that is kept",
        f"{OPTIMIZERS}/lion.py",
        "averages(updates, state.mu, b2)",
        "averages(updates, state.mu, b1)",
        f"{RUN}[lion-1]",
    ),
    Mutant(
        "Nesterov's term missing",
        "the momentum without the look-ahead",
        "jopt/transforms/momentum.py",
        "_cast_like(ahead if nesterov else m, updates)",
        "_cast_like(m, updates)",
        f"{RUN}[sgd-2]",
    ),
    Mutant(
        "Nesterov corrected too early",
        "the look-ahead of Adam with the correction of this step, not the next",
        f"{OPTIMIZERS}/moments.py",
        "return (1.0 - c) / ahead, c / correction",
        "return (1.0 - c) / correction, c / correction",
        "tests/test_optimizers_classic.py::test_equals_the_transcription -k adam",
    ),
    Mutant(
        "first step dampened",
        "the dampening of SGD begins one step early",
        "jopt/transforms/momentum.py",
        "jnp.where(state.count == 0, 1.0, 1.0 - less)",
        "jnp.where(state.count < 0, 1.0, 1.0 - less)",
        f"{RUN}[sgd-3]",
    ),
    Mutant(
        "wrong sign",
        "updates go uphill",
        "jopt/transforms/scale.py",
        "step = -step if flip_sign else step",
        "step = step if flip_sign else -step",
        f"{STAGE_LAWS}[scale_by_learning_rate]",
    ),
    Mutant(
        "trust ratio inverted",
        "the update's norm over the parameter's",
        "jopt/transforms/scale.py",
        "(p_norm / below)",
        "(below / p_norm)",
        f"{RUN}[lamb-0]",
    ),
    Mutant(
        "largest moment forgotten",
        "AMSGrad without its maximum",
        f"{OPTIMIZERS}/amsgrad.py",
        "return jnp.maximum(w.astype(v.dtype), v)",
        "return v",
        f"{RUN}[amsgrad-1]",
    ),
    Mutant(
        "largest moment corrected twice",
        "the corrected maximum is corrected once more",
        f"{OPTIMIZERS}/amsgrad.py",
        "remaining = one if corrected else correction",
        "remaining = correction",
        "tests/test_optimizers_classic.py -k amsgrad",
    ),
    Mutant(
        "rectifier's threshold shifted",
        "RAdam counts the second moment where it should not yet",
        f"{OPTIMIZERS}/radam.py",
        "rectified = length > nx.cast(threshold, dtype)",
        "rectified = length > nx.cast(threshold, dtype) - 1",
        f"{RUN}[radam-1]",
    ),
    Mutant(
        "mean not taken off",
        "the standard deviation of centred RMSprop without its mean",
        f"{OPTIMIZERS}/rmsprop.py",
        "return jnp.maximum(v - mean, jnp.zeros_like(v))",
        "return jnp.maximum(v, jnp.zeros_like(v))",
        f"{RUN}[rmsprop-2]",
    ),
    Mutant(
        "growth without limit",
        "Prodigy's estimate grows as fast as it likes",
        f"{OPTIMIZERS}/prodigy.py",
        "d = jnp.minimum(top, d * number(growth_rate))",
        "d = top",
        "tests/test_optimizers_modern.py -k prodigy_grows",
    ),
    Mutant(
        "estimate may fall",
        "Prodigy without the maximum over its estimates",
        f"{OPTIMIZERS}/prodigy.py",
        "top = jnp.maximum(state.max_estim_lr, d_hat)",
        "top = d_hat",
        f"{RUN}[prodigy-0]",
    ),
    Mutant(
        "conjugate missing",
        "the inner product of Prodigy on complex parameters",
        "jopt/_core/norms.py",
        "product = x.real * y.real + x.imag * y.imag",
        "product = x.real * y.real - x.imag * y.imag",
        "tests/test_optimizers_modern.py -k imaginary_axis",
    ),
    Mutant(
        "rows for columns",
        "Adafactor with the means of the other axis",
        f"{OPTIMIZERS}/factors.py",
        "return x * r[..., None] * c[..., None, :]",
        "r, c = (c, r) if r.shape == c.shape else (r, c)\n"
        "    return x * r[..., None] * c[..., None, :]",
        "tests/test_optimizers_modern.py -k rows_from_columns",
    ),
    Mutant(
        "transpose forgotten",
        "Muon iterates on tall matrices and folds the result as it lies",
        "jopt/matrix/newton_schulz.py",
        "(part.mT if _is_tall(x) else part).reshape(x.shape)",
        "part.reshape(x.shape)",
        f"{RUN}[muon-0]",
    ),
    Mutant(
        "average weighted alike",
        "schedule-free averages all steps alike, whatever their rate",
        f"{OPTIMIZERS}/schedule_free.py",
        "c = nx.divide(w, total)",
        "c = 1.0 / t",
        f"{RUN}[schedule_free_sgd-1]",
    ),
    Mutant(
        "weight of the present rate",
        "schedule-free weighs by the rate of this step, not the largest so far",
        f"{OPTIMIZERS}/schedule_free.py",
        "top = jnp.maximum(state.max_lr, lr)",
        "top = lr",
        f"{RUN}[schedule_free_sgd-3]",
    ),
    Mutant(
        "noise too loud",
        "the variance of the noise taken for its deviation",
        "jopt/transforms/noise.py",
        "nx.sqrt(jnp.asarray(eta, dtype)) * power",
        "jnp.asarray(eta, dtype) * power",
        "tests/test_transforms_noise.py -k 'not jit'",
    ),
]

NUMBERS = [
    Mutant(
        "square without conjugate",
        "g * g for |g|^2 of complex gradients",
        "jopt/_core/numerics.py",
        "squared = x.real * x.real + x.imag * x.imag",
        "squared = (x * x).real",
        f"{LAWS}[adam]",
    ),
    Mutant(
        "complement rounded",
        "1 - b formed in float32",
        "jopt/_core/decay.py",
        "return cls(1.0 - float(rate))",
        "return cls(float(np.float32(1.0) - np.float32(rate)))",
        f"{RUN}[adam-0]",
    ),
    Mutant(
        "correction by a power",
        "1 - b^t formed as written, which is 0 for b near 1",
        "jopt/_core/numerics.py",
        "return -jnp.expm1(jnp.asarray(count, dtype) * log_b)",
        "return 1.0 - jnp.exp(jnp.asarray(count, dtype) * log_b)",
        f"{LAWS}[adam]",
    ),
    Mutant(
        "count wraps",
        "a count goes on from the largest integer to the least",
        "jopt/_core/numerics.py",
        "return jnp.asarray(optax.safe_increment(count))",
        "return count + 1",
        f"{LAWS}[adam]",
    ),
    Mutant(
        "squares overflow",
        "one huge gradient makes the second moment infinite",
        "jopt/_core/numerics.py",
        "return jnp.minimum(squared, largest)",
        "return squared",
        f"{LAWS}[adam]",
    ),
    Mutant(
        "second moment in the parameter's dtype",
        "16-bit parameters get 16-bit averages of squares",
        "jopt/_core/trees.py",
        "return full_like(p, 0.0, jnp.finfo(kind).dtype)",
        "return full_like(p, 0.0, jnp.finfo(p.dtype).dtype)",
        "tests/test_core_transform.py -k moments_are_float32",
    ),
    Mutant(
        "state is the parameters",
        "a slot that shares the parameters' buffer",
        "jopt/_core/trees.py",
        "return jnp.array(p, dtype=kind, copy=True)",
        "return jnp.asarray(p, dtype=kind)",
        f"{LAWS}[lookahead]",
    ),
    Mutant(
        "residual of the wrong sign",
        "the compensation doubles what rounding lost",
        "jopt/precision/kahan.py",
        "(total - (landed - wide)).astype(c.dtype)",
        "((landed - wide) - total).astype(c.dtype)",
        "tests/test_precision_wrappers.py -k 'kahan_stays or a_thousand_small'",
    ),
    Mutant(
        "rounding biased",
        "stochastic rounding with noise of half the range",
        "jopt/precision/rounding.py",
        "(noise & low)) & ~low",
        "(noise & (low >> 1))) & ~low",
        "tests/test_precision_rounding.py -k the_mean_is_the_number",
    ),
    Mutant(
        "clips what is within",
        "updates are divided by their norm unconditionally",
        "jopt/_core/norms.py",
        "inside = root <= limit * scale",
        "inside = root < 0",
        "tests/test_transforms_clip.py -k within_bounds",
    ),
    Mutant(
        "clips on the wrong side",
        "small updates are blown up to the bound, large ones pass",
        "jopt/_core/norms.py",
        "inside = root <= limit * scale",
        "inside = root >= limit * scale",
        "tests/test_transforms_clip.py -k matches_optax",
    ),
]

WRAPPERS = [
    Mutant(
        "mean over one batch less",
        "accumulated gradients are divided by k - 1",
        "jopt/transforms/accumulate.py",
        "s * (1.0 / every_k)",
        "s * (1.0 / (every_k - 1))",
        "tests/test_accumulate.py -k equal_their_mean",
    ),
    Mutant(
        "a step too early",
        "the optimizer steps with the micro-batch before the last",
        "jopt/transforms/accumulate.py",
        "state.mini_step >= every_k - 1",
        "state.mini_step >= every_k - 2",
        "tests/test_accumulate.py -k equal_their_mean",
    ),
    Mutant(
        "old sums stay",
        "micro-batches of all cycles are added up",
        "jopt/transforms/accumulate.py",
        "jnp.where(first, 0, s) + g.astype(s.dtype)",
        "s + g.astype(s.dtype)",
        "tests/test_accumulate.py -k equal_their_mean",
    ),
    Mutant(
        "a skipped step counts",
        "the inner state goes on where the gradient is NaN",
        "jopt/transforms/guard.py",
        "            return still, inner_state\n",
        "            return still, run(inner_state)[1]\n",
        "tests/test_guard.py -k bad_step_leaves",
    ),
    Mutant(
        "one error too many",
        "the guard fails one bad step later than it says",
        "jopt/transforms/guard.py",
        "row >= max_consecutive_errors",
        "row > max_consecutive_errors",
        "tests/test_guard.py -k flag_after_n",
    ),
    Mutant(
        "scale grows a step late",
        "the loss scale grows after one good step more",
        "jopt/precision/loss_scale.py",
        "state.good_steps >= growth_interval - 1",
        "state.good_steps >= growth_interval",
        "tests/test_precision_loss_scale.py -k growths_and_backoffs",
    ),
    Mutant(
        "held leaves get raw gradients",
        "leaves that are to stay take their gradient for an update",
        "jopt/transforms/select.py",
        "trees.restore(out, jax.tree.map(_zero, updates))",
        "trees.restore(out, updates)",
        "tests/test_select.py -k frozen",
    ),
    Mutant(
        "state for held leaves",
        "slots are made for leaves that never move",
        "jopt/transforms/select.py",
        "optax.MaskedState(pair.init(trees.hide(params, keep)))",
        "optax.MaskedState(pair.init(params))",
        "tests/test_select.py -k frozen_leaf_has_no_state",
    ),
    Mutant(
        "slow step of the rest",
        "the slow weights go 1 - a of the way",
        "jopt/transforms/average.py",
        "towards(slow, applied(p, u), a), slow)",
        "towards(slow, applied(p, u), 1.0 - a), slow)",
        "tests/test_average.py -k lookahead",
    ),
    Mutant(
        "a step more to look ahead",
        "slow and fast weights meet after k + 1 steps",
        "jopt/transforms/average.py",
        "state.steps_since_sync >= sync_period - 1",
        "state.steps_since_sync >= sync_period",
        "tests/test_average.py -k lookahead",
    ),
    Mutant(
        "average of updates biased",
        "the debiased average is multiplied by its weight",
        "jopt/transforms/momentum.py",
        "weight = 1 / nx.bias_correction(decay, t)",
        "weight = nx.bias_correction(decay, t)",
        "tests/test_transforms_momentum.py -k ema_holds",
    ),
    Mutant(
        "average of parameters biased",
        "the average holds on to its start",
        "jopt/transforms/average.py",
        "jnp.where(early, 1.0, share / jnp.where(early, 1.0, weight))",
        "jnp.where(early, 1.0, share)",
        "tests/test_average.py -k debiased",
    ),
    Mutant(
        "patience of one more",
        "the rate falls one bad value later than it says",
        "jopt/transforms/plateau.py",
        "falls = bad >= patience",
        "falls = bad > patience",
        "tests/test_plateau.py",
    ),
    Mutant(
        "state of scheduled stages kept",
        "a stage with a scheduled argument returns the state it was given",
        "jopt/_core/transform.py",
        "return updates, ScheduledState(count, shown, inner)",
        "return updates, ScheduledState(count, shown, state.inner_state)",
        f"{LAWS}[adam]",
    ),
]

VALUES = [
    Mutant(
        "boundary off by one",
        "a piece of a schedule begins a step late",
        "jopt/schedules/_ramps.py",
        "step[None] >= column",
        "step[None] > column",
        "tests/test_schedules.py -k 'optax or torch or constant'",
    ),
    Mutant(
        "warm-up ends a step late",
        "the peak is reached one step after the warm-up",
        "jopt/schedules/_ramps.py",
        "early = blend(init_value, peak_value, ramp(step, warmup_steps))",
        "early = blend(init_value, peak_value, ramp(step, warmup_steps + 1))",
        "tests/test_schedules.py -k 'optax or edges'",
    ),
    Mutant(
        "cooldown bent the other way",
        "the cooldown 1-sqrt with a square for the root",
        "jopt/schedules/_ramps.py",
        "root = jnp.sqrt(done)",
        "root = jnp.square(done)",
        "tests/test_schedules.py -k wsd",
    ),
    Mutant(
        "schedules a step ahead",
        "the first step gets the schedule's second value",
        "jopt/_core/transform.py",
        "        given, shown = evaluate(state.count)\n",
        "        given, shown = evaluate(state.count + 1)\n",
        f"{RUN}[adam-4]",
    ),
    Mutant(
        "slot left behind",
        "migration does not carry the second moment",
        "jopt/values/migrate.py",
        "    for key in set(new) & set(old):\n",
        '    for key in {k for k in set(new) & set(old) if k[1] != "nu"}:\n',
        "tests/test_core_values.py -k migrate_carries",
    ),
    Mutant(
        "argument ignored",
        "a config is read without the last of its arguments",
        "jopt/values/config.py",
        "return build(**kwargs)",
        "return build(**dict(list(kwargs.items())[:-1]))",
        "tests/test_core_values.py -k config_round_trip",
    ),
    Mutant(
        "exposed values not read",
        "what is set in the state has no effect",
        "jopt/values/hyper.py",
        "live = _with_slots(tx, slots, state.hyperparams)\n        updates",
        "live = tx\n        updates",
        "tests/test_core_values.py -k exposed",
    ),
]

MUTANTS = [*RULES, *NUMBERS, *WRAPPERS, *VALUES]
