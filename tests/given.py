"""Stages that give a transform what its users do, made of the gradient, for laws."""

import jopt


@jopt.transform
def with_hessian(inner: jopt.Inner) -> jopt.Pair:
    """The gradient in the place of an estimate of the Hessian's diagonal.

    With it AdaHessian is Adam.
    """

    def update(updates, state, params=None, **extra):
        extra = extra | {"hessian": updates}
        return inner.raw.update(updates, state, params, **extra)

    return jopt.Pair(inner.raw.init, update)
