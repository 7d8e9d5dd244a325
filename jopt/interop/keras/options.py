"""The options that every Keras optimizer takes, as stages around its rule."""

from typing import Any, TypedDict, Unpack

import jopt

Rate = float | jopt.Schedule


class Options(TypedDict, total=False):
    """Keyword arguments of every optimizer, as Keras has them."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    exclude_from_weight_decay: Any
    name: str | None


def finished(
    rule: jopt.Transform,
    learning_rate: Rate,
    weight_decay: float | None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """A rule with Keras's options around it, in Keras's order.

    The gradient is unscaled, accumulated, clipped; then weights decay; then comes the
    step; then the average.
    """
    _check(options)
    every = [*_unscaled(options), *_clipped(options)]
    every.append(_decayed(rule, learning_rate, weight_decay, options))
    tx = every[0] if len(every) == 1 else jopt.chain(*every)
    steps = options.get("gradient_accumulation_steps")
    if steps:
        tx = jopt.accumulate(tx, steps)
    return jopt.chain(tx, _averaged(options)) if options.get("use_ema") else tx


def _unscaled(options: Options) -> list[jopt.Transform]:
    factor = options.get("loss_scale_factor")
    return [jopt.scale(1.0 / factor)] if factor else []


def _clipped(options: Options) -> list[jopt.Transform]:
    stages = {
        "clipnorm": jopt.clip_by_norm,
        "clipvalue": jopt.clip,
        "global_clipnorm": jopt.clip_by_global_norm,
    }
    given = {name: options[name] for name in stages if options.get(name)}
    if len(given) > 1:
        raise ValueError(
            f"give one of `clipnorm`, `clipvalue` and `global_clipnorm`, got {given}."
        )
    return [stages[name](bound) for name, bound in given.items()]


def _decayed(
    rule: jopt.Transform,
    learning_rate: Rate,
    weight_decay: float | None,
    options: Options,
) -> jopt.Transform:
    if not weight_decay:
        return rule
    excluded = options.get("exclude_from_weight_decay")
    mask = None if excluded is None else ~jopt.where(excluded)
    return jopt.decay_first(rule, learning_rate * weight_decay, mask)


def _averaged(options: Options) -> jopt.Transform:
    """The average, taken at every call; the first is the parameters after a step."""
    steps = options.get("gradient_accumulation_steps") or 1
    period = options.get("ema_overwrite_frequency") or 0
    if steps > 1 and period > 1:
        raise ValueError(
            "`ema_overwrite_frequency` above 1 is not available beside "
            f"`gradient_accumulation_steps`, got {period} and {steps}: Keras then "
            "overwrites the weights at every call of each such round. Leave it out, "
            "and assign `params = jopt.averaged_params(state, params)`."
        )
    momentum = options.get("ema_momentum", 0.99)
    return jopt.ema_params(momentum, debias=False, start_step=steps, sync_period=period)


def _check(options: Options) -> None:
    known = Options.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(
                f"unknown argument `{name}`. Beside those of the rule there are "
                f"{', '.join(known)}."
            )
