"""The states of all transforms, by name: named tuples of arrays."""

from jopt.matrix import ScaleByMuonState as ScaleByMuonState
from jopt.optimizers import (
    FactoredState as FactoredState,
    ProdigyState as ProdigyState,
    RelativeStepState as RelativeStepState,
    ScaleByAdaboundState as ScaleByAdaboundState,
    ScaleByAdanState as ScaleByAdanState,
    ScaleByAdemamixState as ScaleByAdemamixState,
    ScaleByLionState as ScaleByLionState,
    ScaleByNadamState as ScaleByNadamState,
    ScaleByQhmState as ScaleByQhmState,
    ScaleByRmsWithCountState as ScaleByRmsWithCountState,
    ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState,
    ScaleBySimplifiedAdemamixState as ScaleBySimplifiedAdemamixState,
    ScaleBySophiaState as ScaleBySophiaState,
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
