"""Keras's optimizers, schedules and callbacks, by its names, arguments and defaults.

The numbers are Keras's. What differs: the names of leaves are those of your parameters,
and options that change variables in place are not there.
"""

from jopt.interop.keras.callbacks import (
    EarlyStopping as EarlyStopping,
    ReduceLROnPlateau as ReduceLROnPlateau,
)
from jopt.interop.keras.optimizers import (
    Adadelta as Adadelta,
    Adafactor as Adafactor,
    Adagrad as Adagrad,
    Adam as Adam,
    Adamax as Adamax,
    AdamW as AdamW,
    Ftrl as Ftrl,
    Lamb as Lamb,
    Lion as Lion,
    Muon as Muon,
    Nadam as Nadam,
    RMSprop as RMSprop,
    ScheduleFreeAdamW as ScheduleFreeAdamW,
    SGD as SGD,
)
from jopt.interop.keras.schedules import (
    CosineDecay as CosineDecay,
    CosineDecayRestarts as CosineDecayRestarts,
    ExponentialDecay as ExponentialDecay,
    InverseTimeDecay as InverseTimeDecay,
    LearningRateScheduler as LearningRateScheduler,
    PiecewiseConstantDecay as PiecewiseConstantDecay,
    PolynomialDecay as PolynomialDecay,
)
from jopt.interop.keras.state import (
    load_state as load_state,
    to_variables as to_variables,
)
