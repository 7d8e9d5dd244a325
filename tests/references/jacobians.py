"""Jacobians on which aggregators are compared with torchjd, and what it made of them.

    python -m tests.references.jacobians

runs torchjd and stores its results. Where its solver stops early, it is made to go on,
or the program it solves is given to quadprog.
"""

from pathlib import Path
from typing import Any

import numpy as np

PATH = Path(__file__).parent / "torchjd.json"
PREFERENCE = (0.5, 1.0, 0.25, 2.0)


def jacobians() -> dict[str, np.ndarray]:
    """Gradients that agree, conflict, depend on each other, or differ in scale."""
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 6))
    return {
        "two": random.standard_normal((2, 5)),
        "three": random.standard_normal((3, 7)),
        "four": random.standard_normal((4, 5)),
        "conflict": np.array([[1.0, 0, 0], [-0.9, 0.3, 0.1], [0.2, -1, 0.5]]),
        "more than entries": random.standard_normal((5, 4)),
        "rank two": np.stack([a, b, a + b, a - 2 * b]),
        "parallel": np.stack([a, 2 * a, b]),
        "scales": random.standard_normal((3, 6)) * np.array([[1e3], [1.0], [1e-2]]),
        "eight": random.standard_normal((8, 30)),
        "agree": np.abs(random.standard_normal((4, 9))),
    }


def settings() -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """By name: ours, our arguments, and those of torchjd's class."""
    eps = {"norm_eps": 1e-4, "reg_eps": 1e-4}
    return {
        "mean": ("constant_weights", {}, {}),
        "mgda": ("mgda", {}, {}),
        "pcgrad": ("pcgrad", {}, {}),
        "cagrad": ("cagrad", {"c": 0.4, "norm_eps": 1e-4}, {"c": 0.4}),
        "cagrad wide": ("cagrad", {"c": 1.0, "norm_eps": 1e-4}, {"c": 1.0}),
        "upgrad": ("upgrad", eps, eps),
        "upgrad bare": ("upgrad", {}, {"norm_eps": 0.0, "reg_eps": 1e-12}),
        "upgrad preferring": (
            "upgrad",
            eps | {"preference": PREFERENCE},
            eps | {"pref_vector": PREFERENCE},
        ),
        "dual_proj": ("dual_proj", eps, eps),
        "dual_proj bare": ("dual_proj", {}, {"norm_eps": 0.0, "reg_eps": 1e-12}),
        "nash_mtl": ("nash_mtl", {}, {}),
        "imtl_g": ("imtl_g", {}, {}),
        "aligned_mtl": ("aligned_mtl", {}, {}),
        "aligned_mtl median": (
            "aligned_mtl",
            {"scale_mode": "median"},
            {"scale_mode": "median"},
        ),
        "aligned_mtl rmse": (
            "aligned_mtl",
            {"scale_mode": "rmse"},
            {"scale_mode": "rmse"},
        ),
    }


def tried(setting: str) -> dict[str, np.ndarray]:
    """The Jacobians on which a setting is compared."""
    every = jacobians()
    if setting == "upgrad preferring":
        return {name: j for name, j in every.items() if len(j) == len(PREFERENCE)}
    left_out = {  # where it regularizes still, or its solver fails
        "upgrad bare": ("scales",),
        "dual_proj bare": ("scales",),
        "nash_mtl": ("scales", "three"),
    }
    return {k: j for k, j in every.items() if k not in left_out.get(setting, ())}


def run(setting: str, jacobian: np.ndarray) -> np.ndarray:
    """What torchjd makes of a Jacobian."""
    import torch

    name, _, theirs = settings()[setting]
    with _patient(), _in_turn(len(jacobian)):
        aggregator = _aggregator(name, dict(theirs), len(jacobian))
        return aggregator(torch.tensor(jacobian)).numpy()


def _aggregator(name: str, theirs: dict[str, Any], k: int) -> Any:
    import torch
    from torchjd import aggregation
    from torchjd.linalg import QuadprogProjector

    if name == "mgda":
        return lambda j: torch.tensor(_least_norm(j.numpy()))
    if name in ("upgrad", "dual_proj"):
        if "pref_vector" in theirs:
            theirs["pref_vector"] = torch.tensor(theirs["pref_vector"]).double()
        eps = {key: theirs.pop(key) for key in ("norm_eps", "reg_eps")}
        theirs["projector"] = QuadprogProjector(**eps)
    classes = {
        "constant_weights": "Mean",
        "pcgrad": "PCGrad",
        "cagrad": "CAGrad",
        "upgrad": "UPGrad",
        "dual_proj": "DualProj",
        "nash_mtl": "NashMTL",
        "imtl_g": "IMTLG",
        "aligned_mtl": "AlignedMTL",
    }
    if name == "nash_mtl":
        theirs = {"n_tasks": k}
    return getattr(aggregation, classes[name])(**theirs)


def _least_norm(jacobian: np.ndarray) -> np.ndarray:
    """The point of least norm in the hull, by quadprog.

    torchjd's method of Frank and Wolfe needs more than 20 000 rounds for three digits.
    """
    from qpsolvers import solve_qp

    k = len(jacobian)
    gramian = jacobian @ jacobian.T
    one = np.ones((1, k))
    w = solve_qp(
        gramian + 1e-13 * np.trace(gramian) * np.eye(k),
        np.zeros(k),
        A=one,
        b=np.ones(1),
        lb=np.zeros(k),
        solver="quadprog",
    )
    return w @ jacobian


class _patient:
    """Have cvxpy solve to the last digit that its solvers can give."""

    def __enter__(self) -> None:
        import cvxpy

        self.solve = cvxpy.Problem.solve
        tight = {"tol_gap_abs": 1e-15, "tol_gap_rel": 1e-15, "tol_feas": 1e-15}

        def solve(problem: Any, solver: Any = None, **options: Any) -> Any:
            extra = tight if solver == cvxpy.CLARABEL else {}
            return self.solve(problem, solver=solver, **options, **extra)

        cvxpy.Problem.solve = solve

    def __exit__(self, *_: Any) -> None:
        import cvxpy

        cvxpy.Problem.solve = self.solve


class _in_turn:
    """Have PCGrad meet the others in our order: round the circle."""

    def __init__(self, k: int):
        self.orders = iter([[(i + j) % k for j in range(1, k)] + [i] for i in range(k)])

    def __enter__(self) -> None:
        import torch

        self.randperm = torch.randperm
        torch.randperm = lambda n: torch.tensor(next(self.orders))

    def __exit__(self, *_: Any) -> None:
        import torch

        torch.randperm = self.randperm


def main() -> None:
    stored = {
        setting: {name: run(setting, j).tolist() for name, j in tried(setting).items()}
        for setting in settings()
    }
    lines = (
        f'"{setting}": {{\n'
        + ",\n".join(f'"{name}": {numbers}' for name, numbers in rows.items())
        + "\n}"
        for setting, rows in stored.items()
    )
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
