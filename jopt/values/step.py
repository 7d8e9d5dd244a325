"""A train step that donates its buffers and returns them in the right order."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from jopt._core import extras
from jopt._core.transform import Transform
from jopt.values.hyper import set_hyperparams

PyTree = Any


class Step:
    """A jitted train step; made by `make_step`.

    Attributes:
        tx: The optimizer. Assign another of the same structure, such as
            `step.tx.replace(learning_rate=3e-4)`: nothing recompiles.
    """

    def __init__(self, loss_fn: Callable[..., Any], tx: Any, has_aux: bool):
        self.tx = tx
        value_and_grad = jax.value_and_grad(loss_fn, has_aux=has_aux)
        optimizer = optax.with_extra_args_support(tx)
        traced = isinstance(tx, Transform)

        def step(params, state, tx, args, kwargs, extra):
            out, grads = value_and_grad(params, *args, **kwargs)
            loss, aux = out if has_aux else (out, None)

            def value_fn(params: PyTree) -> Any:
                out = loss_fn(params, *args, **kwargs)
                return out[0] if has_aux else out

            known = extras.of_loss(loss, grads, value_fn) | extra
            update = tx.update if traced else optimizer.update
            updates, state = update(grads, state, params, **known)
            params = optax.apply_updates(params, updates)
            # Donated arguments go out first and in their order: otherwise XLA cannot
            # write the results where the arguments were, and copies them.
            return (params, state, loss, aux) if has_aux else (params, state, loss)

        self._traced = traced
        self._step = jax.jit(step, donate_argnums=(0, 1))

    def __call__(
        self,
        params: PyTree,
        state: PyTree,
        *args: Any,
        extra: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        tx = self.tx if self._traced else None
        return self._step(params, state, tx, args, kwargs, extra or {})

    def lower(self, params: PyTree, state: PyTree, *args: Any, **kwargs: Any) -> Any:
        """The lowered step, as `jax.jit(...).lower` gives it; compile to inspect."""
        tx = self.tx if self._traced else None
        return self._step.lower(params, state, tx, args, kwargs, {})

    def set(self, **values: Any) -> None:
        """Change hyperparameters of the optimizer by name, without recompiling."""
        self.tx = set_hyperparams(self.tx, values)


def make_step(loss_fn: Callable[..., Any], tx: Any, *, has_aux: bool = False) -> Step:
    """Make a jitted train step out of a loss and an optimizer.

    `params` and `state` are donated: their buffers hold the results, so the old ones
    must not be used again. The optimizer is an argument of the compiled function, so
    its hyperparameters may change from call to call.

    Args:
        loss_fn: `loss_fn(params, *args, **kwargs)`, returning the loss, or the pair
            `(loss, aux)`.
        tx: A transform of jopt or optax. Its update also gets `value=` (the loss) and
            `grad=`, which plateau schedules and Polyak steps read; and `value_fn=` and
            `grad_fn=`, functions of the parameters at the present batch, which line
            searches and `sam` call.
        has_aux: Whether `loss_fn` returns auxiliary data.

    Returns:
        `step(params, state, *args, extra=None, **kwargs)`, which returns
        `(params, state, loss)`, or `(params, state, loss, aux)`. `extra` is a dict of
        further arguments for the optimizer's update.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> tx = jopt.sgd(0.25)
        >>> step = jopt.make_step(lambda w, x: jnp.sum((w - x) ** 2), tx)
        >>> w = jnp.zeros(2)
        >>> state = tx.init(w)
        >>> for _ in range(3):
        ...     w, state, loss = step(w, state, jnp.array([1.0, 2.0]))
        >>> w
        Array([0.875, 1.75 ], dtype=float32)
    """
    return Step(loss_fn, tx, has_aux)
