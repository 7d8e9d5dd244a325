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
from jopt.transforms.cautious_decay import (
    add_cautious_weight_decay as add_cautious_weight_decay,
)
from jopt.transforms.checkpoints import (
    lawa_params as lawa_params,
    LawaState as LawaState,
    power_ema_params as power_ema_params,
    PowerEmaState as PowerEmaState,
    recalibrate_batch_stats as recalibrate_batch_stats,
    snapshot_params as snapshot_params,
    snapshots as snapshots,
    SnapshotState as SnapshotState,
    swa_params as swa_params,
    SwaState as SwaState,
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
from jopt.transforms.filters import (
    grokfast as grokfast,
    GrokfastState as GrokfastState,
    ortho_grad as ortho_grad,
)
from jopt.transforms.guard import (
    apply_if_finite as apply_if_finite,
    ApplyIfFiniteState as ApplyIfFiniteState,
    check_finite as check_finite,
)
from jopt.transforms.mars import (
    mars_correction as mars_correction,
    MarsCorrectionState as MarsCorrectionState,
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
from jopt.transforms.norm_control import (
    hyperball as hyperball,
    norm_floor as norm_floor,
    radial_brake as radial_brake,
)
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
from jopt.transforms.small import (
    apply_every as apply_every,
    ApplyEveryState as ApplyEveryState,
    keep_params_nonnegative as keep_params_nonnegative,
    normalize_by_update_norm as normalize_by_update_norm,
    scale_by_param_block_norm as scale_by_param_block_norm,
    zero_nans as zero_nans,
    ZeroNansState as ZeroNansState,
)
from jopt.transforms.spikes import (
    ada_gc as ada_gc,
    AdaGcState as AdaGcState,
    zclip as zclip,
    ZclipState as ZclipState,
)
