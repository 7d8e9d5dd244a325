"""Experiments: real tasks, Flax models, and the race of optimizers."""

from jopt.experiments.config import Config as Config
from jopt.experiments.race import race as race, RaceInterrupted as RaceInterrupted
from jopt.experiments.results import RaceResult as RaceResult
from jopt.experiments.standings import Entry as Entry, Standing as Standing
