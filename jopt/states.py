"""The states of all transforms, by name: named tuples of arrays."""

from jopt.matrix import (
    ScaleByApolloState as ScaleByApolloState,
    ScaleByGaloreState as ScaleByGaloreState,
    ScaleByMuonState as ScaleByMuonState,
)
from jopt.optimizers import (
    DAdaptAdamWState as DAdaptAdamWState,
    DAdaptLionState as DAdaptLionState,
    DAdaptSGDState as DAdaptSGDState,
    DoGState as DoGState,
    DoWGState as DoWGState,
    FactoredState as FactoredState,
    MomoAdamState as MomoAdamState,
    MomoState as MomoState,
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
    ScaleBySpsState as ScaleBySpsState,
    ScaleByStableSpamState as ScaleByStableSpamState,
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
    AdaGcState as AdaGcState,
    ApplyEveryState as ApplyEveryState,
    ApplyIfFiniteState as ApplyIfFiniteState,
    ClipByGlobalNormState as ClipByGlobalNormState,
    DampenedTraceState as DampenedTraceState,
    EmaParamsState as EmaParamsState,
    GrokfastState as GrokfastState,
    LookaheadState as LookaheadState,
    MarsCorrectionState as MarsCorrectionState,
    MonitorState as MonitorState,
    ZclipState as ZclipState,
    ZeroNansState as ZeroNansState,
)
from jopt.wrappers import (
    CautiousState as CautiousState,
    ConditionallyTransformState as ConditionallyTransformState,
    EmaNesterovState as EmaNesterovState,
    ExtragradientState as ExtragradientState,
    LookSamState as LookSamState,
    OuterNesterovState as OuterNesterovState,
    SamState as SamState,
    SkipLargeUpdatesState as SkipLargeUpdatesState,
    SkipSpikesState as SkipSpikesState,
)
