"""PyTorch's dialect: the same numbers as the stored runs of PyTorch, and its state."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt
from jopt.interop import torch
from tests.certificates import catalogue, schedules, stored
from tests.certificates.record import RAMP
from tests.certificates.schedule_table import BASE
from tests.references.problem import PROBLEMS, relative_error, trajectory

VALUES = stored.read(stored.SCHEDULES)["values"]
RUNS = stored.read(stored.OPTIMIZERS)["runs"]
OURS = [c for c in catalogue.PACKAGED if c.source.rpartition(".")[0] == "torch.optim"]
NAMES = ["b", "w"]


def dialect(certificate):
    settings = dict(certificate.settings)
    if isinstance(settings.get("lr"), tuple):
        settings["lr"] = RAMP
    return getattr(torch, certificate.source.rpartition(".")[2])(**settings)


@pytest.mark.parametrize("certificate", OURS, ids=lambda c: c.id)
def test_the_same_arguments_give_the_numbers_of_pytorch(certificate):
    first, grads = certificate.start()
    path, _ = trajectory(dialect(certificate), first, grads)
    theirs = stored.unpacked(RUNS[certificate.id]["path"], first)
    assert relative_error(stored.kept(path), theirs, first) < 1e-9


def test_defaults_are_those_of_pytorch():
    assert torch.AdamW() == torch.AdamW(1e-3, (0.9, 0.999), 1e-8, 1e-2)


def test_how_it_is_computed_changes_nothing():
    assert torch.Adam(foreach=True, fused=None) == torch.Adam()


def test_maximize_ascends():
    first, grads = PROBLEMS["vector"]()
    up, _ = trajectory(torch.Adam(0.1, maximize=True), first, grads)
    down, _ = trajectory(torch.Adam(0.1), first, [-g for g in grads])
    assert relative_error(up, down, first) < 1e-15


def test_learning_rate_decay_of_adagrad():
    rates = jopt.inverse_time_decay(0.1, 1, 0.5)
    assert float(rates(2)) == pytest.approx(0.1 / 2)
    first, grads = PROBLEMS["vector"]()
    ours, _ = trajectory(torch.Adagrad(0.1, lr_decay=0.5), first, grads)
    theirs, _ = trajectory(torch.Adagrad(rates), first, grads)
    assert relative_error(ours, theirs, first) < 1e-12


def test_groups_are_partitions_by_name():
    tx = torch.param_groups(
        [{"params": "b", "lr": 0.5}, {"params": "..."}], torch.SGD, lr=0.1
    )
    params = {"b": jnp.ones(2), "w": jnp.ones(2)}
    updates, _ = tx.update(params, tx.init(params), params)
    assert updates["b"][0] == -0.5 and updates["w"][0] == -np.float32(0.1)


# -- schedulers ----------------------------------------------------------------------

SCHEDULERS = [
    c
    for c in schedules.PACKAGED
    if c.source.startswith("torch.") and "lr_lambda" not in c.settings
]


def scheduler(name, settings, lr=None):
    settings = dict(settings)
    if name == "SequentialLR":
        parts = [scheduler(*pair, BASE) for pair in settings.pop("schedulers")]
        return torch.SequentialLR(schedulers=parts, **settings)
    if name == "ChainedScheduler":
        parts = [scheduler(*pair) for pair in settings.pop("schedulers")]
        return torch.ChainedScheduler(lr, schedulers=parts)
    if settings.pop("reads", "lr") == "momentum":
        rates = {"base_lr", "max_lr"}
        settings = {k: v for k, v in settings.items() if k not in rates}
        return getattr(torch, name.replace("LR", "Momentum"))(**settings)
    if lr is not None and name not in ("OneCycleLR", "CyclicLR"):
        settings["lr"] = lr
    return getattr(torch, name)(**settings)


def test_rates_of_a_function_of_the_step():
    rate = torch.LambdaLR(2.0, lr_lambda=lambda step: jnp.where(step < 3, 1.0, 0.5))
    assert rate(jnp.array([2, 3])).tolist() == [2.0, 1.0]
    rate = torch.MultiplicativeLR(
        2.0, lr_lambda=lambda step: jnp.where(step == 2, 0.5, 1.0), total_steps=5
    )
    assert rate(jnp.array([1, 2, 4])).tolist() == [2.0, 1.0, 1.0]


def test_a_least_rate_needs_a_rate():
    with pytest.raises(ValueError, match="`lr` must be given with it"):
        torch.CosineAnnealingLR(T_max=5, eta_min=0.1)


@pytest.mark.parametrize("certificate", SCHEDULERS, ids=lambda c: c.id)
def test_a_scheduler_gives_the_rates_of_pytorch(certificate):
    settings = {k: v for k, v in certificate.settings.items() if k != "steps"}
    with jax.enable_x64(True):
        made = scheduler(certificate.source.removeprefix("torch."), settings, BASE)
    ours = certificate.values(made)[certificate.kept]
    (theirs,) = stored.unpacked(VALUES[certificate.id], ours)
    assert schedules.schedule_error(ours, theirs) < 1e-9


def test_momentum_cycles_against_the_rate():
    rate = torch.OneCycleLR(1.0, total_steps=10)
    momentum = torch.OneCycleMomentum(total_steps=10)
    at = int(jnp.argmax(rate(jnp.arange(10))))
    assert int(jnp.argmin(momentum(jnp.arange(10)))) == at
    assert float(momentum(9)) == np.float32(0.95)
    assert float(torch.CyclicMomentum(step_size_up=4)(4)) == np.float32(0.8)


def test_a_plateau_lasts_one_value_longer_than_elsewhere():
    tx = torch.ReduceLROnPlateau(patience=2, factor=0.5)
    state, scales = tx.init(jnp.ones(())), []
    for _ in range(4):
        update, state = tx.update(jnp.ones(()), state, value=1.0)
        scales.append(float(update))
    assert scales == [1.0, 1.0, 1.0, 0.5]


# -- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: torch.Adam(betas=0.9), TypeError, "`betas` must be a pair"),
        (lambda: torch.Adam(compiled=True), TypeError, "unknown argument `compiled`"),
        (lambda: torch.Muon(adjust_lr_fn="rms"), ValueError, "`adjust_lr_fn` must be"),
        (
            lambda: torch.param_groups([{"lr": 1.0}], torch.SGD),
            ValueError,
            'a dict with "params"',
        ),
        (lambda: torch.param_groups([]), TypeError, "`optimizer` is missing"),
        (
            lambda: torch.param_groups({"...": torch.SGD()}, lr=1.0),
            TypeError,
            "give no options",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- the state -----------------------------------------------------------------------

STATES = {
    "SGD": torch.SGD(0.1, momentum=0.9, dampening=0.5),
    "Adam": torch.Adam(0.1, amsgrad=True),
    "AdamW": torch.AdamW(RAMP, weight_decay=0.1),
    "NAdam": torch.NAdam(0.1),
    "RAdam": torch.RAdam(0.1),
    "Adamax": torch.Adamax(0.1),
    "Adagrad": torch.Adagrad(0.1),
    "Adadelta": torch.Adadelta(1.0),
    "RMSprop": torch.RMSprop(0.1, momentum=0.9, centered=True),
}


def run(tx, params, state, grads):
    for g in grads:
        updates, state = tx.update(g, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


@pytest.mark.parametrize("name", STATES)
def test_the_state_goes_there_and_comes_back(name):
    tx = STATES[name]
    with jax.enable_x64(True):
        first, grads = jax.tree.map(jnp.asarray, PROBLEMS["tree"]())
        whole, _ = run(tx, first, tx.init(first), grads)
        half, state = run(tx, first, tx.init(first), grads[:5])
        saved = torch.to_state_dict(state, name, name_map=NAMES)
        state = torch.load_state(saved, tx, first, name_map=NAMES, step=5)
        resumed, _ = run(tx, half, state, grads[5:])
    whole, resumed, first = jax.tree.map(np.asarray, (whole, resumed, first))
    assert relative_error([resumed], [whole], first) < 1e-7  # the float32 of `step`


def adam_state(shape=(3, 2)):
    return {"exp_avg": np.ones(shape), "exp_avg_sq": np.ones(shape), "step": 3.0}


PARAMS = {"kernel": jnp.zeros((2, 3))}


def test_kernels_are_turned():
    saved = {"state": {0: {"momentum_buffer": np.arange(6.0).reshape(3, 2)}}}
    tx = torch.SGD(momentum=0.9)
    state = torch.load_state(saved, tx, PARAMS, name_map=["kernel"])
    np.testing.assert_array_equal(
        optax.tree.get(state, "trace")["kernel"], np.arange(6.0).reshape(3, 2).T
    )


def test_a_flat_dict_is_read():
    flat = {f"state.layer.weight.{k}": v for k, v in adam_state().items()}
    tx = torch.Adam()
    state = torch.load_state(flat, tx, PARAMS, name_map={"layer.weight": "kernel"})
    assert jopt.get(state, "count") == 3


@pytest.mark.parametrize(
    "saved, names, message",
    [
        (adam_state(), ["bias"], "'bias', which is no leaf.*Leaves: kernel"),
        (adam_state((3, 3)), ["kernel"], r"shape \(3, 3\), the slot `mu` has \(2, 3\)"),
        ({"exp_avg": np.ones((3, 2)), "step": 1.0}, ["kernel"], "no `exp_avg_sq` or"),
        (adam_state() | {"ax": np.ones((3, 2))}, ["kernel"], "no slot for `ax`"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(saved, names, message):
    with pytest.raises(ValueError, match=message):
        torch.load_state({"state": {0: saved}}, torch.Adam(), PARAMS, name_map=names)


def test_steps_must_be_known_for_a_schedule():
    saved = {"state": {0: {"momentum_buffer": np.ones((3, 2))}}}
    with pytest.raises(ValueError, match="give `step`"):
        torch.load_state(
            saved, torch.SGD(RAMP, momentum=0.9), PARAMS, name_map=["kernel"]
        )


# -- with PyTorch --------------------------------------------------------------------


def theirs(name, settings, params):
    import torch as pytorch

    kind = getattr(pytorch.optim, name)
    return kind([{"params": [p]} | s for p, s in zip(params, settings, strict=True)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STATES)
def test_five_steps_there_and_five_here_are_ten_there(name):
    pytorch = pytest.importorskip("torch")
    pytorch.set_default_dtype(pytorch.float64)  # NAdam keeps a scalar in it
    first, grads = PROBLEMS["tree"]()
    leaves = [pytorch.nn.Parameter(pytorch.tensor(first[k])) for k in NAMES]
    options = {
        "SGD": {"momentum": 0.9, "dampening": 0.5},
        "Adam": {"amsgrad": True},
        "RMSprop": {"momentum": 0.9, "centered": True},
        "AdamW": {"weight_decay": 0.1},
    }.get(name, {})
    own = [{"lr": 0.1}, {"lr": 0.05}]
    optimizer = theirs(name, [options | o for o in own], leaves)
    groups = [{"params": k} | options | o for k, o in zip(NAMES, own, strict=True)]
    tx = torch.param_groups(groups, getattr(torch, name))
    for t, g in enumerate(grads):
        if t == 5:
            saved = copy.deepcopy(optimizer.state_dict())
            half = {
                k: p.detach().numpy().copy() for k, p in zip(NAMES, leaves, strict=True)
            }
        for p, k in zip(leaves, NAMES, strict=True):
            p.grad = pytorch.tensor(g[k])
        optimizer.step()
    ten = {k: p.detach().numpy() for k, p in zip(NAMES, leaves, strict=True)}
    with jax.enable_x64(True):
        half = jax.tree.map(jnp.asarray, half)
        state = torch.load_state(saved, tx, half, name_map=NAMES, step=5)
        rest = [jax.tree.map(jnp.asarray, g) for g in grads[5:]]
        resumed, _ = run(tx, half, state, rest)
    resumed = jax.tree.map(np.asarray, resumed)
    assert relative_error([resumed], [ten], first) < 1e-9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_state_from_here_goes_on_in_pytorch():
    pytorch = pytest.importorskip("torch")
    first, grads = PROBLEMS["tree"]()
    tx = torch.AdamW(0.1)
    with jax.enable_x64(True):
        given = [jax.tree.map(jnp.asarray, g) for g in grads]
        start = jax.tree.map(jnp.asarray, first)
        whole, _ = run(tx, start, tx.init(start), given)
        half, state = run(tx, start, tx.init(start), given[:5])
    leaves = [pytorch.nn.Parameter(pytorch.tensor(np.asarray(half[k]))) for k in NAMES]
    optimizer = pytorch.optim.AdamW(leaves, lr=0.1)
    saved = torch.to_state_dict(state, "AdamW", name_map=NAMES)
    saved = jax.tree.map(lambda a: pytorch.tensor(np.asarray(a)), saved)
    saved["param_groups"] = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict(saved)
    for g in grads[5:]:
        for p, k in zip(leaves, NAMES, strict=True):
            p.grad = pytorch.tensor(g[k])
        optimizer.step()
    ours = {k: p.detach().numpy() for k, p in zip(NAMES, leaves, strict=True)}
    whole = jax.tree.map(np.asarray, whole)
    assert relative_error([ours], [whole], first) < 1e-9


@pytest.fixture(scope="module")
def sparse_run():
    """Ten steps of PyTorch with sparse gradients, and its state after five."""
    pytorch = pytest.importorskip("torch")
    first, grads = PROBLEMS["rows"]()
    grads[3] = jax.tree.map(np.zeros_like, grads[3])  # a step without any row
    leaves = [pytorch.nn.Parameter(pytorch.tensor(first[k])) for k in NAMES]
    optimizer = pytorch.optim.SparseAdam(leaves, lr=0.1, betas=(0.8, 0.9), eps=1e-3)
    path = []
    for t, g in enumerate(grads):
        if t == 5:
            saved = copy.deepcopy(optimizer.state_dict())
        for p, k in zip(leaves, NAMES, strict=True):
            p.grad = pytorch.tensor(g[k]).to_sparse(1)
        optimizer.step()
        now = [p.detach().numpy().copy() for p in leaves]
        path.append(dict(zip(NAMES, now, strict=True)))
    return first, grads, path, saved


SPARSE = torch.SparseAdam(0.1, (0.8, 0.9), 1e-3)


def test_the_sparse_problem_has_rows_without_gradient():
    _, grads = PROBLEMS["rows"]()
    still = np.array([[not row.any() for row in g["w"]] for g in grads])
    assert still.any(0).all() and not still.all(0).any()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_rows_without_gradient_rest_as_with_sparse_gradients(sparse_run):
    first, grads, path, _ = sparse_run
    ours, _ = trajectory(SPARSE, first, grads)
    assert relative_error(ours, path, first) < 1e-9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_sparse_run_goes_on_here(sparse_run):
    first, grads, path, saved = sparse_run
    with jax.enable_x64(True):
        half = jax.tree.map(jnp.asarray, path[4])
        state = torch.load_state(saved, SPARSE, half, name_map=NAMES)
        rest = [jax.tree.map(jnp.asarray, g) for g in grads[5:]]
        ours, _ = run(SPARSE, half, state, rest)
    ours = jax.tree.map(np.asarray, ours)
    assert relative_error([ours], path[-1:], first) < 1e-9
