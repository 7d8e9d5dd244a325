"""The states of all transforms, by name: named tuples of arrays."""

from jopt.matrix import ScaleByMuonState as ScaleByMuonState
from jopt.optimizers import (
    FactoredState as FactoredState,
    ProdigyState as ProdigyState,
    RelativeStepState as RelativeStepState,
    ScaleByLionState as ScaleByLionState,
    ScaleByNadamState as ScaleByNadamState,
    ScaleByRmsWithCountState as ScaleByRmsWithCountState,
    ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState,
    ScheduleFreeState as ScheduleFreeState,
)
from jopt.precision import (
    DynamicLossScaleState as DynamicLossScaleState,
    KahanState as KahanState,
    MasterWeightsState as MasterWeightsState,
    RoundStochasticallyState as RoundStochasticallyState,
)
from jopt.transforms import (
    AccumulateState as AccumulateState,
    ApplyIfFiniteState as ApplyIfFiniteState,
    ClipByGlobalNormState as ClipByGlobalNormState,
    DampenedTraceState as DampenedTraceState,
    EmaParamsState as EmaParamsState,
    LookaheadState as LookaheadState,
    MonitorState as MonitorState,
)
