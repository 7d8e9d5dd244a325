"""Write data/modern.json: trajectories of the official packages, in float64.

    python -m tests.references.make_modern

needs torch, lion-pytorch, schedulefree and prodigyopt. Weights are transposed on their
way to PyTorch and back, because its layout is (out, in).
"""

import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests.references import modern

FILE = Path(__file__).parent / "data" / "modern.json"


def run(case: modern.Official) -> dict[str, Any]:
    """The parameters after each step and, where there are such, the averaged ones."""
    import torch

    first, grads = modern.start(), modern.gradients()
    names = ["w"] if case.optimizer == "muon" else ["b", "w"]
    params = {k: torch.tensor(first[k].T.copy()) for k in names}
    optimizer = RUNNERS[case.package](list(params.values()), **case.settings)
    path: list[modern.Tree] = []
    # Muon's iterations run in bfloat16; here they must not.
    clone = mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone)
    for g in grads:
        for k, p in params.items():
            p.grad = torch.tensor(g[k].T.copy())
        with clone:
            optimizer.step()
        path.append({k: p.detach().numpy().T.copy() for k, p in params.items()})
    result: dict[str, Any] = {"path": path}
    if case.package.startswith("schedulefree"):
        optimizer.eval()
        result["averaged"] = {k: p.detach().numpy().T for k, p in params.items()}
    return result


def _lion(params: Any, **settings: Any) -> Any:
    import lion_pytorch

    return lion_pytorch.Lion(params, **settings)


def _schedule_free(name: str) -> Any:
    def make(params: Any, **settings: Any) -> Any:
        import schedulefree

        optimizer = getattr(schedulefree, name)(params, **settings)
        optimizer.train()
        return optimizer

    return make


def _prodigy(params: Any, **settings: Any) -> Any:
    import prodigyopt

    return prodigyopt.Prodigy(params, **settings)


def _torch(name: str) -> Any:
    def make(params: Any, **settings: Any) -> Any:
        import torch

        return getattr(torch.optim, name)(params, **settings)

    return make


RUNNERS = {
    "lion_pytorch": _lion,
    "schedulefree_adamw": _schedule_free("AdamWScheduleFree"),
    "schedulefree_sgd": _schedule_free("SGDScheduleFree"),
    "prodigyopt": _prodigy,
    "torch_adafactor": _torch("Adafactor"),
    "torch_muon": _torch("Muon"),
}


PACKAGES = {
    "lion_pytorch": ["torch", "lion_pytorch"],
    "schedulefree_adamw": ["torch", "schedulefree"],
    "schedulefree_sgd": ["torch", "schedulefree"],
    "prodigyopt": ["torch", "prodigyopt"],
    "torch_adafactor": ["torch"],
    "torch_muon": ["torch"],
}


def plain(value: Any) -> Any:
    """Arrays as nested lists."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def arrays(tree: dict[str, Any]) -> modern.Tree:
    return {k: np.asarray(v, np.float64) for k, v in tree.items()}


def main() -> None:
    data = {
        "start": modern.start(),
        "gradients": modern.gradients(),
        "cases": {case.id: run(case) for case in modern.OFFICIAL},
    }
    FILE.write_text(json.dumps(plain(data), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
