"""Looking into optimizers and their states."""

from jopt.inspect.cite import cite as cite
from jopt.inspect.describe import (
    describe as describe,
    Description as Description,
    state_bytes as state_bytes,
)
from jopt.inspect.get import get as get
from jopt.inspect.recommend import (
    recommend as recommend,
    Recommendation as Recommendation,
)
