"""Wrappers: transforms around another optimizer."""

from jopt.wrappers.cautious import (
    cautious as cautious,
    CautiousState as CautiousState,
)
from jopt.wrappers.conditional import (
    conditionally_mask as conditionally_mask,
    conditionally_transform as conditionally_transform,
    ConditionallyTransformState as ConditionallyTransformState,
    skip_large_updates as skip_large_updates,
    skip_spikes as skip_spikes,
    SkipLargeUpdatesState as SkipLargeUpdatesState,
    SkipSpikesState as SkipSpikesState,
)
from jopt.wrappers.decay_first import decay_first as decay_first
from jopt.wrappers.extragradient import (
    extragradient as extragradient,
    ExtragradientState as ExtragradientState,
)
from jopt.wrappers.mechanic import (
    MechanicState as MechanicState,
    mechanize as mechanize,
)
from jopt.wrappers.outer import (
    ema_nesterov as ema_nesterov,
    EmaNesterovState as EmaNesterovState,
    outer_nesterov as outer_nesterov,
    OuterNesterovState as OuterNesterovState,
)
from jopt.wrappers.primal_averaging import (
    gpa as gpa,
    GPAState as GPAState,
    schedule_free as schedule_free,
    ScheduleFreeWrapperState as ScheduleFreeWrapperState,
)
from jopt.wrappers.sam import (
    asam as asam,
    gsam as gsam,
    looksam as looksam,
    LookSamState as LookSamState,
    sam as sam,
    SamState as SamState,
)
from jopt.wrappers.split_complex import (
    split_real_and_imaginary as split_real_and_imaginary,
    SplitRealAndImaginaryState as SplitRealAndImaginaryState,
)
