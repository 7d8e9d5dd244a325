"""The building blocks: stages to chain."""

from jopt.transforms.accumulate import (
    accumulate as accumulate,
    AccumulateState as AccumulateState,
)
from jopt.transforms.average import (
    averaged_params as averaged_params,
    ema_params as ema_params,
    EmaParamsState as EmaParamsState,
    lookahead as lookahead,
    LookaheadState as LookaheadState,
)
from jopt.transforms.basic import (
    centralize as centralize,
    identity as identity,
    set_to_zero as set_to_zero,
)
from jopt.transforms.clip import (
    adaptive_grad_clip as adaptive_grad_clip,
    clip as clip,
    clip_by_block_rms as clip_by_block_rms,
    clip_by_global_norm as clip_by_global_norm,
    ClipByGlobalNormState as ClipByGlobalNormState,
)
from jopt.transforms.clip_by_norm import clip_by_norm as clip_by_norm
from jopt.transforms.decay import add_decayed_weights as add_decayed_weights
from jopt.transforms.guard import (
    apply_if_finite as apply_if_finite,
    ApplyIfFiniteState as ApplyIfFiniteState,
    check_finite as check_finite,
)
from jopt.transforms.momentum import (
    DampenedTraceState as DampenedTraceState,
    ema as ema,
    trace as trace,
)
from jopt.transforms.monitor import (
    monitor as monitor,
    MonitorState as MonitorState,
)
from jopt.transforms.noise import add_noise as add_noise
from jopt.transforms.plateau import reduce_on_plateau as reduce_on_plateau
from jopt.transforms.scale import (
    scale as scale,
    scale_by_learning_rate as scale_by_learning_rate,
    scale_by_schedule as scale_by_schedule,
    scale_by_sign as scale_by_sign,
    scale_by_trust_ratio as scale_by_trust_ratio,
)
from jopt.transforms.select import (
    freeze as freeze,
    masked as masked,
    partition as partition,
    selective_transform as selective_transform,
)
