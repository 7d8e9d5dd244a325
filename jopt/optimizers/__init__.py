"""The optimizers: ready chains, one family a file."""

from jopt.optimizers.accsgd import (
    accsgd as accsgd,
    scale_by_accsgd as scale_by_accsgd,
    ScaleByAccsgdState as ScaleByAccsgdState,
)
from jopt.optimizers.adabelief import (
    acprop as acprop,
    adabelief as adabelief,
    scale_by_acprop as scale_by_acprop,
    scale_by_belief as scale_by_belief,
)
from jopt.optimizers.adabound import (
    adabound as adabound,
    amsbound as amsbound,
    scale_by_adabound as scale_by_adabound,
    ScaleByAdaboundState as ScaleByAdaboundState,
)
from jopt.optimizers.adadelta import (
    adadelta as adadelta,
    scale_by_adadelta as scale_by_adadelta,
)
from jopt.optimizers.adafactor import (
    adafactor as adafactor,
    FactoredState as FactoredState,
    RelativeStepState as RelativeStepState,
    scale_by_factored_rms as scale_by_factored_rms,
    scale_by_param_block_rms as scale_by_param_block_rms,
    scale_by_relative_step as scale_by_relative_step,
)
from jopt.optimizers.adagrad import (
    adagrad as adagrad,
    scale_by_rss as scale_by_rss,
)
from jopt.optimizers.adagrad_norm import (
    adagrad_norm as adagrad_norm,
    scale_by_adagrad_norm as scale_by_adagrad_norm,
    ScaleByAdagradNormState as ScaleByAdagradNormState,
    wngrad as wngrad,
)
from jopt.optimizers.adahessian import (
    adahessian as adahessian,
    scale_by_adahessian as scale_by_adahessian,
    ScaleByAdaHessianState as ScaleByAdaHessianState,
)
from jopt.optimizers.adai import (
    adai as adai,
    adaiw as adaiw,
    scale_by_adai as scale_by_adai,
    ScaleByAdaiState as ScaleByAdaiState,
)
from jopt.optimizers.adam import (
    adam as adam,
    adamw as adamw,
    scale_by_adam as scale_by_adam,
)
from jopt.optimizers.adam_atan2 import (
    adam_atan2 as adam_atan2,
    scale_by_adam_atan2 as scale_by_adam_atan2,
)
from jopt.optimizers.adam_mini import (
    adam_mini as adam_mini,
    scale_by_adam_mini as scale_by_adam_mini,
)
from jopt.optimizers.adamax import (
    adamax as adamax,
    adamaxw as adamaxw,
    scale_by_adamax as scale_by_adamax,
)
from jopt.optimizers.adamh import adamh as adamh
from jopt.optimizers.adamod import (
    adamod as adamod,
    scale_by_adamod as scale_by_adamod,
    ScaleByAdamodState as ScaleByAdamodState,
)
from jopt.optimizers.adamp import (
    adamp as adamp,
    scale_by_adamp as scale_by_adamp,
    scale_by_sgdp as scale_by_sgdp,
    sgdp as sgdp,
)
from jopt.optimizers.adan import (
    adan as adan,
    scale_by_adan as scale_by_adan,
    scale_by_proximal_decay as scale_by_proximal_decay,
    ScaleByAdanState as ScaleByAdanState,
)
from jopt.optimizers.adanorm import (
    adanorm as adanorm,
    scale_by_adanorm as scale_by_adanorm,
    ScaleByAdanormState as ScaleByAdanormState,
)
from jopt.optimizers.ademamix import (
    ademamix as ademamix,
    scale_by_ademamix as scale_by_ademamix,
    scale_by_simplified_ademamix as scale_by_simplified_ademamix,
    ScaleByAdemamixState as ScaleByAdemamixState,
    ScaleBySimplifiedAdemamixState as ScaleBySimplifiedAdemamixState,
    simplified_ademamix as simplified_ademamix,
)
from jopt.optimizers.adopt import (
    adopt as adopt,
    scale_by_adopt as scale_by_adopt,
)
from jopt.optimizers.aggmo import (
    aggmo as aggmo,
    scale_by_aggmo as scale_by_aggmo,
    ScaleByAggmoState as ScaleByAggmoState,
)
from jopt.optimizers.amos import (
    amos as amos,
    scale_by_amos as scale_by_amos,
    ScaleByAmosState as ScaleByAmosState,
)
from jopt.optimizers.amsgrad import (
    amsgrad as amsgrad,
    scale_by_amsgrad as scale_by_amsgrad,
)
from jopt.optimizers.ano import (
    ano as ano,
    scale_by_ano as scale_by_ano,
)
from jopt.optimizers.asgd import (
    asgd as asgd,
    scale_by_asgd as scale_by_asgd,
    ScaleByAsgdState as ScaleByAsgdState,
)
from jopt.optimizers.avagrad import (
    avagrad as avagrad,
    scale_by_avagrad as scale_by_avagrad,
    ScaleByAvagradState as ScaleByAvagradState,
)
from jopt.optimizers.bcos import (
    bcos as bcos,
    scale_by_bcos as scale_by_bcos,
    ScaleByBcosState as ScaleByBcosState,
)
from jopt.optimizers.came import (
    came as came,
    scale_by_came as scale_by_came,
    ScaleByCameState as ScaleByCameState,
)
from jopt.optimizers.cautious import (
    cadamw as cadamw,
    clion as clion,
)
from jopt.optimizers.cocob import (
    cocob as cocob,
    COCOBState as COCOBState,
    scale_by_cocob as scale_by_cocob,
)
from jopt.optimizers.dadapt import (
    dadapt_adamw as dadapt_adamw,
    dadapt_sgd as dadapt_sgd,
    DAdaptAdamWState as DAdaptAdamWState,
    DAdaptSGDState as DAdaptSGDState,
    scale_by_dadapt_adamw as scale_by_dadapt_adamw,
    scale_by_dadapt_sgd as scale_by_dadapt_sgd,
)
from jopt.optimizers.dadapt_lion import (
    dadapt_lion as dadapt_lion,
    DAdaptLionState as DAdaptLionState,
    scale_by_dadapt_lion as scale_by_dadapt_lion,
)
from jopt.optimizers.diffgrad import (
    diffgrad as diffgrad,
    scale_by_diffgrad as scale_by_diffgrad,
    ScaleByDiffgradState as ScaleByDiffgradState,
)
from jopt.optimizers.dog import (
    dog as dog,
    DoGState as DoGState,
    dowg as dowg,
    DoWGState as DoWGState,
    ldog as ldog,
    scale_by_dog as scale_by_dog,
    scale_by_dowg as scale_by_dowg,
)
from jopt.optimizers.dpsgd import (
    differentially_private_aggregate as differentially_private_aggregate,
    DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState,
    dpsgd as dpsgd,
    per_example_clip as per_example_clip,
)
from jopt.optimizers.focus import (
    focus as focus,
    scale_by_focus as scale_by_focus,
    ScaleByFocusState as ScaleByFocusState,
)
from jopt.optimizers.fromage import (
    fromage as fromage,
    scale_by_fromage as scale_by_fromage,
)
from jopt.optimizers.ftrl import (
    ftrl as ftrl,
    scale_by_ftrl as scale_by_ftrl,
    ScaleByFtrlState as ScaleByFtrlState,
)
from jopt.optimizers.grams import (
    grams as grams,
    scale_by_grams as scale_by_grams,
)
from jopt.optimizers.gravity import (
    gravity as gravity,
    scale_by_gravity as scale_by_gravity,
    ScaleByGravityState as ScaleByGravityState,
)
from jopt.optimizers.hypergradient import (
    adam_hd as adam_hd,
    hypergradient_sgd as hypergradient_sgd,
    HypergradientState as HypergradientState,
    scale_by_hypergradient as scale_by_hypergradient,
)
from jopt.optimizers.kate import (
    kate as kate,
    scale_by_kate as scale_by_kate,
    ScaleByKateState as ScaleByKateState,
)
from jopt.optimizers.lamb import lamb as lamb
from jopt.optimizers.laprop import (
    laprop as laprop,
    scale_by_laprop as scale_by_laprop,
)
from jopt.optimizers.larc import (
    larc as larc,
    scale_by_larc as scale_by_larc,
)
from jopt.optimizers.lars import (
    lars as lars,
    scale_by_lars as scale_by_lars,
)
from jopt.optimizers.lion import (
    lion as lion,
    scale_by_lion as scale_by_lion,
    ScaleByLionState as ScaleByLionState,
)
from jopt.optimizers.madgrad import (
    madgrad as madgrad,
    MadgradState as MadgradState,
    scale_by_madgrad as scale_by_madgrad,
)
from jopt.optimizers.momo import (
    momo as momo,
    momo_adam as momo_adam,
    MomoAdamState as MomoAdamState,
    MomoState as MomoState,
    scale_by_momo as scale_by_momo,
    scale_by_momo_adam as scale_by_momo_adam,
)
from jopt.optimizers.msvag import (
    msvag as msvag,
    scale_by_msvag as scale_by_msvag,
)
from jopt.optimizers.nadam import (
    nadam as nadam,
    nadamw as nadamw,
    scale_by_nadam as scale_by_nadam,
    ScaleByNadamState as ScaleByNadamState,
)
from jopt.optimizers.noisy_sgd import noisy_sgd as noisy_sgd
from jopt.optimizers.novograd import (
    novograd as novograd,
    scale_by_novograd as scale_by_novograd,
)
from jopt.optimizers.optimistic import (
    optimistic_adam as optimistic_adam,
    optimistic_gradient_descent as optimistic_gradient_descent,
    scale_by_optimistic_gradient as scale_by_optimistic_gradient,
    ScaleByOptimisticGradientState as ScaleByOptimisticGradientState,
)
from jopt.optimizers.padam import (
    padam as padam,
    scale_by_padam as scale_by_padam,
    ScaleByPadamState as ScaleByPadamState,
)
from jopt.optimizers.pnm import (
    adapnm as adapnm,
    pnm as pnm,
    scale_by_adapnm as scale_by_adapnm,
    scale_by_pnm as scale_by_pnm,
    ScaleByAdapnmState as ScaleByAdapnmState,
    ScaleByPnmState as ScaleByPnmState,
)
from jopt.optimizers.polyak import (
    polyak_sgd as polyak_sgd,
    scale_by_polyak as scale_by_polyak,
    scale_by_sps as scale_by_sps,
    ScaleBySpsState as ScaleBySpsState,
    sps as sps,
)
from jopt.optimizers.prodigy import (
    prodigy as prodigy,
    ProdigyState as ProdigyState,
    scale_by_prodigy as scale_by_prodigy,
)
from jopt.optimizers.qhadam import (
    qhadam as qhadam,
    qhm as qhm,
    scale_by_qhadam as scale_by_qhadam,
    scale_by_qhm as scale_by_qhm,
    ScaleByQhmState as ScaleByQhmState,
)
from jopt.optimizers.radam import (
    radam as radam,
    scale_by_radam as scale_by_radam,
)
from jopt.optimizers.ranger import ranger as ranger
from jopt.optimizers.rmsprop import (
    rmsprop as rmsprop,
    scale_by_rms as scale_by_rms,
    scale_by_stddev as scale_by_stddev,
    ScaleByRmsWithCountState as ScaleByRmsWithCountState,
    ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState,
)
from jopt.optimizers.rprop import (
    rprop as rprop,
    scale_by_rprop as scale_by_rprop,
)
from jopt.optimizers.schedule_free import (
    scale_by_schedule_free as scale_by_schedule_free,
    schedule_free_adamw as schedule_free_adamw,
    schedule_free_sgd as schedule_free_sgd,
    ScheduleFreeState as ScheduleFreeState,
)
from jopt.optimizers.schedule_free_radam import (
    scale_by_schedule_free_radam as scale_by_schedule_free_radam,
    schedule_free_radam as schedule_free_radam,
    ScheduleFreeRAdamState as ScheduleFreeRAdamState,
)
from jopt.optimizers.sgd import sgd as sgd
from jopt.optimizers.sgd_sai import (
    scale_by_gsnr as scale_by_gsnr,
    ScaleByGsnrState as ScaleByGsnrState,
    sgd_sai as sgd_sai,
)
from jopt.optimizers.sgdw import sgdw as sgdw
from jopt.optimizers.signum import (
    sign_sgd as sign_sgd,
    signum as signum,
)
from jopt.optimizers.sm3 import (
    scale_by_sm3 as scale_by_sm3,
    sm3 as sm3,
)
from jopt.optimizers.sophia import (
    scale_by_sophia as scale_by_sophia,
    ScaleBySophiaState as ScaleBySophiaState,
    sophia as sophia,
)
from jopt.optimizers.spam import (
    scale_by_spam as scale_by_spam,
    scale_by_stable_spam as scale_by_stable_spam,
    ScaleByStableSpamState as ScaleByStableSpamState,
    spam as spam,
    stable_spam as stable_spam,
)
from jopt.optimizers.sparse_adam import (
    scale_by_sparse_adam as scale_by_sparse_adam,
    sparse_adam as sparse_adam,
)
from jopt.optimizers.stable_adamw import (
    scale_by_stable_adamw as scale_by_stable_adamw,
    stable_adamw as stable_adamw,
)
from jopt.optimizers.swats import (
    scale_by_swats as scale_by_swats,
    ScaleBySwatsState as ScaleBySwatsState,
    swats as swats,
)
from jopt.optimizers.tam import (
    adatam as adatam,
    scale_by_adatam as scale_by_adatam,
    scale_by_tam as scale_by_tam,
    ScaleByAdatamState as ScaleByAdatamState,
    ScaleByTamState as ScaleByTamState,
    tam as tam,
)
from jopt.optimizers.tiger import tiger as tiger
from jopt.optimizers.yogi import (
    scale_by_yogi as scale_by_yogi,
    yogi as yogi,
)
