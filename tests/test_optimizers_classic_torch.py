"""The classic optimizers against PyTorch, side by side, in float64."""

import numpy as np
import pytest

from jopt import optimizers
from tests.references import classic
from tests.test_optimizers_classic import relative_errors

pytestmark = pytest.mark.slow

CASES = [case for case in classic.CASES if case.torch]


def torch_path(case):
    torch = pytest.importorskip("torch", reason="parity is with a live PyTorch")
    start, grads = classic.problem()
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps a scalar in it
    try:
        return run(torch, case, start, grads)
    finally:
        torch.set_default_dtype(default)


def run(torch, case, start, grads):
    p = torch.tensor(start, requires_grad=True)
    settings = {"lr": 0.1} | case.torch_settings
    tx = getattr(torch.optim, case.torch)([p], foreach=False, **settings)
    path = []
    for g in grads:
        p.grad = torch.tensor(g)
        tx.step()
        path.append(p.detach().numpy().copy())
    return np.stack(path)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_torch(case):
    live = case._replace(reference=lambda *_: torch_path(case), settings={})
    tx = getattr(optimizers, case.name)(**case.arguments)
    assert relative_errors(tx, live) < 1e-9
