"""What Keras's callbacks do to an optimizer, for a training loop of your own."""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

import jopt

PyTree = Any


def ReduceLROnPlateau(
    factor: float = 0.1,
    patience: int = 10,
    mode: Literal["min", "max"] = "min",
    min_delta: float = 1e-4,
    cooldown: int = 0,
    min_lr: float = 0.0,
    *,
    learning_rate: float = 1.0,
    every: int = 1,
) -> jopt.Transform:
    """A stage to chain after the optimizer; give its `update` the metric as `value=`.

    As in Keras `min_delta` is absolute. `min_lr` is that of a rate of `learning_rate`;
    `every` values count as one, by their mean.

    Example:
        >>> import jopt
        >>> from jopt.interop import keras
        >>> tx = jopt.chain(keras.Adam(1e-3), keras.ReduceLROnPlateau(patience=5))
    """
    return jopt.reduce_on_plateau(
        factor,
        max(patience, 1),
        rtol=0.0,
        atol=min_delta,
        cooldown=cooldown,
        accumulation_size=every,
        min_scale=min_lr / learning_rate,
        mode=mode,
    )


class EarlyStopping:
    """Says when a metric has not improved for some epochs; keeps the best weights.

    Args:
        min_delta: Least improvement.
        patience: Epochs without improvement before it stops.
        mode: Whether a lower value is better, or a higher one.
        baseline: A value that must be passed for an epoch to count as improvement.
        restore_best_weights: Whether to keep a copy of the best parameters.
        start_from_epoch: Epochs before it begins to look.

    Attributes:
        best: The best value.
        best_epoch: Its epoch, counted from 0.
        best_params: Its parameters, if they are kept.

    Example:
        >>> from jopt.interop import keras
        >>> stop = keras.EarlyStopping(patience=2)
        >>> [stop(loss) for loss in (1.0, 0.5, 0.6, 0.7)]
        [False, False, False, True]
        >>> stop.best, stop.best_epoch
        (0.5, 1)
    """

    def __init__(
        self,
        min_delta: float = 0.0,
        patience: int = 0,
        mode: Literal["min", "max"] = "min",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        if mode not in ("min", "max"):
            raise ValueError(f'`mode` must be "min" or "max", got {mode!r}.')
        self._sign = 1.0 if mode == "min" else -1.0
        self._min_delta, self._patience = abs(min_delta), patience
        self._baseline, self._keep = baseline, restore_best_weights
        self._start, self._epoch, self._wait = start_from_epoch, -1, 0
        self.best = self._sign * math.inf
        self.best_epoch = 0
        self.best_params: PyTree = None

    def __call__(self, value: Any, params: PyTree = None) -> bool:
        """Take the metric of an epoch, and say whether to stop.

        Raises:
            ValueError: If the best weights are to be kept and `params` is not given.
        """
        if self._keep and params is None:
            raise ValueError(
                "`restore_best_weights` needs params: call stop(value, params)."
            )
        self._epoch += 1
        if self._epoch < self._start:
            return False
        value = float(value)
        if self._keep and self.best_params is None:
            self.best_params = _copied(params)
        self._wait += 1
        if self._better(value, self.best):
            self.best, self.best_epoch = value, self._epoch
            if self._keep:
                self.best_params = _copied(params)
            if self._baseline is None or self._better(value, self._baseline):
                self._wait = 0
            return False
        return self._wait >= self._patience and self._epoch > 0

    def _better(self, value: float, than: float) -> bool:
        return self._sign * (than - value) > self._min_delta


def _copied(params: PyTree) -> PyTree:
    """A copy that a donated step cannot take away."""
    return jax.tree.map(lambda p: jnp.array(p, copy=True), params)
