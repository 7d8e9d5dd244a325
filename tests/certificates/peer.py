"""What is told of others: optax at a setting, and a package that is no reference.

Apart from `peers`, so that the records can use it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.certificates import stored
from tests.certificates.record import Certificate
from tests.references.problem import relative_error, trajectory


class Peer(NamedTuple):
    """optax's optimizer at the setting of a certificate."""

    certificate: str
    call: str
    make: Callable[[], Any]
    bound: float | None  # on the error where they are the same, else None
    why: str = ""

    def error(self, source: list[Any], certificate: Certificate) -> float:
        """Of optax, at the steps that are stored, over the source's distance."""
        first, grads = certificate.start()
        theirs, _ = trajectory(self.make(), first, grads, "standard", certificate.extra)
        return relative_error(stored.kept(theirs), source, first)


class Unsound(NamedTuple):
    """A package that does not follow the paper it names, at one setting."""

    source: str
    settings: dict[str, Any]
    paper: Callable[..., Any]  # of the transcriptions
    paper_settings: dict[str, Any]
    why: str

    def certificate(self) -> Certificate:
        """To be run as those that are sound."""
        made: Any = None
        return Certificate("", "", made, self.source, self.settings, "tree")

    def error(self, path: list[Any]) -> float:
        """Of the package, relative to the distance that the paper travels."""
        first, grads = self.certificate().start()
        theirs = self.paper(first, grads, **self.paper_settings)
        return relative_error(path, theirs, first)
