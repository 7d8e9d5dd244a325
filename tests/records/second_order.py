"""Records of second-order methods and line searches."""

import optax

import jopt
from tests.case import FADING, record, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.fitted import fitted
from tests.references.second_order import damped, extra, newton_cg, searched

LOOPS = {"N8": "the step that a search finds is a constant to differentiation"}
DIGITS = {"N6": "quasi-Newton pairs are differences, which take digits from float32"}
MEMORY = {"D6": "the inner products with all pairs are reduced together"}
TAGS = "odd complex descends still translation_invariant global_scalar"
ZOOM = jopt.scale_by_zoom_linesearch
BACKTRACK = jopt.scale_by_backtracking_linesearch
NONE = jopt.identity()


def remembered(pairs, more):
    """The numbers of L-BFGS per parameter: of the laws there are 15."""
    return 2 * pairs + 2 + more + pairs * (pairs + 1) / 15


def ahead(search):
    """A search behind a direction that is too long."""
    return fitted(jopt.chain(jopt.scale(-3.0), search))


CASES = {
    "gauss_newton": record(
        fitted(jopt.gauss_newton()),
        fitted(jopt.gauss_newton(0.1, max_cg_steps=2)),
        tags=TAGS,
        needs="params",
        skips=LOOPS,
    ),
    "hessian_free": record(
        fitted(jopt.hessian_free()),
        fitted(jopt.hessian_free(0.1, max_cg_steps=3, decay=0.5)),
        tags=TAGS,
        needs="params",
        memory=1,
        skips=LOOPS,
    ),
    "lbfgs": record(
        fitted(jopt.lbfgs()),
        Vary(fitted(jopt.lbfgs(memory_size=2)), memory=remembered(2, 1)),
        fitted(jopt.lbfgs(scale_init_precond=False)),
        Vary(
            fitted(jopt.lbfgs(linesearch=BACKTRACK(30))),
            "+scale_invariant",
            memory=remembered(10, 0),
        ),
        Vary(
            fitted(jopt.lbfgs(FADING, 3, linesearch=NONE)),
            "+scale_invariant",
            memory=remembered(3, 0),
        ),
        tags=TAGS,
        needs="params",
        memory=remembered(10, 1),
        skips=LOOPS | DIGITS | MEMORY,
    ),
    "newton_cg": record(
        fitted(jopt.newton_cg()),
        fitted(jopt.newton_cg(0.1, 10.0, eta=0.0, max_cg_steps=3)),
        tags=f"{TAGS} scale_invariant",
        needs="params",
        skips=LOOPS,
    ),
    "nonlinear_cg": record(
        fitted(jopt.nonlinear_cg()),
        fitted(jopt.nonlinear_cg(method="HS")),
        fitted(jopt.nonlinear_cg(method="FR")),
        fitted(jopt.nonlinear_cg(method="DY")),
        Vary(jopt.nonlinear_cg(FADING, linesearch=NONE), needs="", memory=2, skips={}),
        tags=TAGS,
        needs="params",
        memory=3,
        skips=LOOPS,
    ),
    "scale_by_backtracking_linesearch": record(
        ahead(BACKTRACK(decrease_factor=0.95)),
        Vary(
            ahead(BACKTRACK(30, 0.1, 0.9, None, 2.0, store_grad=True)),
            memory=1,
        ),
        tags=TAGS,
        needs="params",
        skips=LOOPS,
    ),
    "scale_by_lbfgs": record(
        jopt.scale_by_lbfgs(),
        Vary(
            jopt.scale_by_lbfgs(2, scale_init_precond=False),
            "-scale_invariant",
            memory=remembered(2, 0),
        ),
        tags="odd complex still translation_invariant global_scalar scale_invariant",
        needs="params",
        memory=remembered(10, 0),
        skips=DIGITS | MEMORY,
    ),
    "scale_by_nonlinear_cg": record(
        jopt.scale_by_nonlinear_cg(),
        jopt.scale_by_nonlinear_cg("HS"),
        tags="odd complex still translation_invariant global_scalar",
        memory=2,
    ),
    "scale_by_zoom_linesearch": record(
        ahead(ZOOM()),
        Vary(
            ahead(
                ZOOM(
                    30,
                    10.0,
                    curv_rtol=0.1,
                    approx_dec_rtol=None,
                    initial_guess_strategy="one",
                    store_grad=False,
                )
            ),
            memory=0,
        ),
        tags=TAGS,
        needs="params",
        memory=1,
        skips=LOOPS,
    ),
}


def rows(name, pairs, transcription, problem="vector"):
    return Rows(name, PAPER, pairs, problem, transcription, extra)


SGD = jopt.scale_by_learning_rate

CERTIFICATES = [
    rows(
        "lbfgs",
        [
            (jopt.lbfgs(), {"direction": "lbfgs"}),
            (
                jopt.lbfgs(0.5, 2),
                {"lr": 0.5, "direction": "lbfgs", "memory": 2},
            ),
            (
                jopt.lbfgs(RAMP, 3, linesearch=NONE),
                {"lr": RATES, "direction": "lbfgs", "memory": 3, "search": "none"},
            ),
            (
                jopt.lbfgs(linesearch=BACKTRACK(30, 0.1, 0.5, None)),
                {
                    "direction": "lbfgs",
                    "search": "backtrack",
                    "c1": 0.1,
                    "factor": 0.5,
                    "rounds": 30,
                },
            ),
        ],
        searched,
    ),
    rows(
        "nonlinear_cg",
        [
            *(
                (
                    jopt.nonlinear_cg(method=method),
                    {"direction": "cg", "method": method, "c2": 0.1, "keeps": True},
                )
                for method in ("PR+", "HS", "FR", "DY")
            ),
            (
                jopt.nonlinear_cg(RAMP, linesearch=NONE),
                {"lr": RATES, "direction": "cg", "search": "none"},
            ),
        ],
        searched,
    ),
    rows(
        "scale_by_zoom_linesearch",
        [
            (jopt.chain(SGD(1.0), ZOOM()), {"keeps": True}),
            (
                jopt.chain(SGD(RAMP), ZOOM(curv_rtol=0.01)),
                {"lr": RATES, "c2": 0.01, "keeps": True},
            ),
            (
                jopt.chain(SGD(1.0), ZOOM(slope_rtol=0.3, approx_dec_rtol=None)),
                {"c1": 0.3, "flat": -1e9, "keeps": True},
            ),
        ],
        searched,
    ),
    rows(
        "scale_by_backtracking_linesearch",
        [
            (
                jopt.chain(SGD(1.0), BACKTRACK(60)),
                {"search": "backtrack", "keeps": True, "guess": 1.5, "rounds": 60},
            ),
            (
                jopt.chain(SGD(RAMP), BACKTRACK(60, 0.3, 0.5, None)),
                {
                    "lr": RATES,
                    "search": "backtrack",
                    "c1": 0.3,
                    "factor": 0.5,
                    "rounds": 60,
                },
            ),
        ],
        searched,
    ),
    rows(
        "newton_cg",
        [
            (jopt.newton_cg(), {}),
            (
                jopt.newton_cg(0.3, 0.5, eta=0.0),
                {"radius": 0.3, "largest": 0.5, "eta": 0},
            ),
            (jopt.newton_cg(10.0, max_cg_steps=2), {"radius": 10.0, "most": 2}),
        ],
        newton_cg,
    ),
    rows(
        "gauss_newton",
        [
            (jopt.gauss_newton(), {"damping": 1e-3}),
            (jopt.gauss_newton(10.0), {"damping": 10.0}),
            (jopt.gauss_newton(max_cg_steps=2), {"damping": 1e-3, "most": 2}),
        ],
        damped,
    ),
    rows(
        "hessian_free",
        [
            (
                jopt.hessian_free(),
                {"damping": 1.0, "rule": "martens", "decay": 0.95},
            ),
            (
                jopt.hessian_free(10.0, decay=0.5),
                {"damping": 10.0, "rule": "martens", "decay": 0.5},
            ),
            (
                jopt.hessian_free(0.01, max_cg_steps=3),
                {"damping": 0.01, "rule": "martens", "decay": 0.95, "most": 3},
            ),
        ],
        damped,
    ),
]

PEERS = [
    Peer(
        "lbfgs-paper-2",
        "lbfgs(schedule, 3, linesearch=None)",
        lambda: optax.with_extra_args_support(
            optax.lbfgs(optax.linear_schedule(0.2, 0.02, 8), 3, linesearch=None)
        ),
        None,
        "it keeps pairs of negative curvature, with which a direction may ascend",
    ),
]
