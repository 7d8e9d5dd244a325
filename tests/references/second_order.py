"""Second-order methods in NumPy, on vectors, and a loss that they are run on."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from tests.references.walk import at


def extra(p, g):
    """A loss near `p` whose gradient there is `g`: neither convex nor separable."""

    def value_fn(q):
        pairs = zip(*map(jax.tree.leaves, (q, p, g)), strict=True)
        return sum(_value(q - p, p, g, jnp) for q, p, g in pairs)

    def residual_fn(q):
        return _residuals(q - p, p, g, jnp)

    return {
        "value_fn": value_fn,
        "grad_fn": jax.grad(value_fn),
        "residual_fn": residual_fn,
    }


def _value(d, p, g, xp):
    square = xp.sum(g * d + p * d**2 / 2 + d**4 / 4)
    return square + xp.sum(xp.sin(p.ravel()[1:] * d.ravel()[1:] * d.ravel()[:-1]))


def _residuals(d, p, g, xp):
    w = 1 + xp.abs(p)
    return xp.concatenate([g / w + w * d + d**2 / 3, xp.sum(d)[None]])


class Loss:
    """The same loss, as functions of the way from `p`, with all derivatives."""

    def __init__(self, p, g):
        self.p, self.g = p, g

    def value(self, d):
        return _value(d, self.p, self.g, np)

    def grad(self, d):
        turn = self.p[1:] * np.cos(self.p[1:] * d[1:] * d[:-1])
        out = self.g + self.p * d + d**3
        out[1:] += turn * d[:-1]
        out[:-1] += turn * d[1:]
        return out

    def hessian(self):
        return np.diag(self.p) + np.diag(self.p[1:], 1) + np.diag(self.p[1:], -1)

    def residuals(self, d):
        return _residuals(d, self.p, self.g, np)

    def jacobian(self):
        return np.vstack([np.diag(1 + np.abs(self.p)), np.ones(self.p.size)])


def run(first, grads, step):
    """The parameters after each `step(p, g, t)`, which returns the way to go."""
    p, path = first.copy(), []
    for t, g in enumerate(grads):
        p = p + step(p, g, t)
        path.append(p)
    return path


class Lbfgs:
    """The two-loop recursion."""

    def __init__(self, memory=10, scaled=True):
        self.memory, self.scaled, self.pairs, self.last = memory, scaled, [], None

    def __call__(self, p, g):
        if self.last is not None:
            s, y = p - self.last[0], g - self.last[1]
            if not s.any():
                self.pairs = []
            elif s @ y > np.sqrt(np.finfo(float).eps * (s @ s) * (y @ y)):
                self.pairs = [*self.pairs, (s, y)][-self.memory :]
        self.last = p, g
        q, alphas = g, []
        for s, y in reversed(self.pairs):
            alphas.append(s @ q / (s @ y))
            q = q - alphas[-1] * y
        if self.scaled:
            q = q * self.scale(g)
        for (s, y), alpha in zip(self.pairs, reversed(alphas), strict=True):
            q = q + s * (alpha - y @ q / (s @ y))
        return q

    def scale(self, g):
        if not self.pairs:
            return min(1.0, 1 / np.linalg.norm(g))
        s, y = self.pairs[-1]
        return s @ y / (y @ y)


class Cg:
    """Directions of nonlinear conjugate gradients."""

    def __init__(self, method="PR+"):
        self.method, self.last = method, None

    def __call__(self, p, g):
        d = -g
        if self.last is not None:
            old, before = self.last
            y = g - old
            b = {
                "PR+": max(g @ y / (old @ old), 0.0),
                "HS": g @ y / (before @ y),
                "FR": g @ g / (old @ old),
                "DY": g @ g / (before @ y),
            }[self.method]
            d = b * before - g
            d = d if d @ g < 0 else -g
        self.last = g, d
        return -d


def zoom(loss, u, first, c1=1e-4, c2=0.9, flat=1e-6, rounds=20):
    """A step for the strong Wolfe conditions along `u`: a search, then a zoom."""
    f0, d0 = loss.value(0 * u), loss.grad(0 * u) @ u
    if d0 >= 0:
        return 0.0
    low, high, a = (0.0, f0, d0), None, first
    for _ in range(rounds):
        f, d = loss.value(a * u), loss.grad(a * u) @ u
        falls = f <= f0 + c1 * a * d0 and f < low[1]
        rests = f <= f0 + flat * abs(f0) and d <= (2 * c1 - 1) * d0
        if not (falls or rests):
            high = a, f, d
        elif abs(d) <= -c2 * d0:
            return a
        else:
            if d * ((np.inf if high is None else high[0]) - low[0]) >= 0:
                high = low
            low = a, f, d
        a = 2 * low[0] if high is None else low[0] + _cubic(low, high)
    return low[0]


def _cubic(low, high):
    """How far beyond `low` the cubic through both ends is least."""
    (a, f, d), (b, e, c) = low, high
    w = b - a
    # of q(t) = f + d w t + A t^2 + B t^3 with q(1) = e, q'(1) = c w
    cube = d * w + c * w - 2 * (e - f)
    square = 3 * (e - f) - 2 * d * w - c * w
    with np.errstate(invalid="ignore"):
        root = np.sqrt(square**2 - 3 * cube * d * w)
    t = (root - square) / (3 * cube)
    return w * (np.clip(t, 0.1, 0.9) if np.isfinite(t) else 0.5)


def backtrack(loss, u, first, c1=1e-4, factor=0.8, rounds=20):
    """A step for the condition of Armijo."""
    f0, d0 = loss.value(0 * u), loss.grad(0 * u) @ u
    if d0 >= 0:
        return 0.0
    steps = (first * factor**i for i in range(rounds))
    fine = (a for a in steps if loss.value(a * u) <= f0 + c1 * a * d0)
    return next(fine, 0.0)


def searched(first, grads, lr=1.0, direction="gd", search="zoom", guess=1.0, **more):
    """A direction and a search; `guess` is the first step, or what the last is times.

    `more` are options of the direction in a dict, and of the search.
    """
    own = {k: more.pop(k) for k in ("memory", "scaled", "method") if k in more}
    makes = {"lbfgs": Lbfgs, "cg": Cg, "gd": lambda: lambda p, g: g}
    ahead, kept = makes[direction](**own), [1.0]
    keeps = more.pop("keeps", False)

    def step(p, g, t):
        u = -at(lr, t) * ahead(p, g)
        loss = Loss(p, g)
        first = (guess * kept[0] or 1.0) if keeps else guess
        first = min(first, 1.0) if search == "backtrack" else first
        if search == "none":
            return u
        kept[0] = {"zoom": zoom, "backtrack": backtrack}[search](loss, u, first, **more)
        return kept[0] * u

    return run(first, grads, step)


def cg(matrix, b, radius=np.inf, start=None, progress=None, most=100, forcing=0.5):
    """A step, and whether it ends at the radius: conjugate gradients of Steihaug."""
    z = np.zeros_like(b) if start is None else start
    r = b + matrix @ z
    d, values, size = -r, [z @ (b + r) / 2], np.linalg.norm(b)
    least = min(forcing, np.sqrt(size)) * size
    for i in itertools.count(1):
        if np.linalg.norm(r) <= least:
            return z, False
        bend = d @ matrix @ d
        ahead = z + (r @ r / bend) * d
        if bend <= 0 or np.linalg.norm(ahead) >= radius:
            a, half, c = d @ d, z @ d, z @ z - radius**2
            return z + (np.sqrt(half**2 - a * c) - half) / a * d, True
        new = r + (r @ r / bend) * (matrix @ d)
        z, d, r = ahead, -new + (new @ new) / (r @ r) * d, new
        values.append(z @ (b + r) / 2)
        back = max(10, i // 10)
        slow = progress and i > back and values[-1] < 0
        if slow and values[-1] - values[-1 - back] > back * progress * values[-1]:
            return z, False
        if i == most:
            return z, False


def newton_cg(first, grads, radius=1.0, largest=1000.0, eta=0.15, most=100):
    size = [radius]

    def step(p, g, t):
        loss = Loss(p, g)
        h = loss.hessian()
        u, bounded = cg(h, g, size[0], most=most)
        fall = loss.value(0 * u) - loss.value(u)
        ratio = fall / -(g @ u + u @ h @ u / 2)
        if ratio < 0.25:
            size[0] /= 4
        elif ratio > 0.75 and bounded:
            size[0] = min(2 * size[0], largest)
        return u if ratio > eta else 0 * u

    return run(first, grads, step)


def damped(first, grads, damping, rule="nielsen", decay=0.0, most=100):
    """Levenberg-Marquardt, or with the rule of Martens Hessian-free optimization."""
    level, growth, latest = [damping], [2.0], [np.zeros_like(first)]

    def step(p, g, t):
        loss, martens = Loss(p, g), rule == "martens"
        j = loss.jacobian()
        matrix = j.T @ j + level[0] * np.eye(g.size)
        start = decay * latest[0] if martens else None
        progress = 5e-4 if martens else None
        near = 0.5 if martens else 1e-3
        u, _ = cg(matrix, g, start=start, progress=progress, most=most, forcing=near)
        latest[0] = u
        fall = (np.sum(loss.residuals(0 * u) ** 2) - np.sum(loss.residuals(u) ** 2)) / 2
        ratio = fall / -(g @ u + np.sum((j @ u) ** 2) / 2)
        if martens:
            level[0] *= 1.5 if ratio < 0.25 else 2 / 3 if ratio > 0.75 else 1.0
        elif ratio > 0:
            level[0] *= max(1 / 3, 1 - (2 * ratio - 1) ** 3)
            growth[0] = 2.0
        else:
            level[0] *= growth[0]
            growth[0] *= 2
        return u if ratio > 0 else 0 * u

    return run(first, grads, step)
