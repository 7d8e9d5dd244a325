"""The laws as pytest tests of your own transforms."""

from collections.abc import Collection
from typing import Any

from jopt.testing.check import judge, name_of, subject_of
from jopt.testing.law import chosen, Law
from jopt.testing.report import Report
from jopt.testing.subject import Subject


class Trial:
    """One law to be tried on one transform: call it in the test."""

    def __init__(self, law: Law, subject: Subject):
        self.law = law
        self.subject = subject

    def __call__(self) -> None:
        verdict = judge(self.law, self.subject)
        Report(name_of(self.subject), (verdict,)).assert_ok()

    def __repr__(self) -> str:
        return f"{self.law.id} of {name_of(self.subject)}"


def parametrize(
    *transforms: Any, laws: str | Collection[str] | None = None, **options: Any
) -> Any:
    """A pytest mark that runs a test for each transform and each law.

    The test takes an argument `law` and calls it.

    Args:
        *transforms: Transforms of jopt or optax, or your own.
        laws: Ids or families of laws. Defaults to all.
        **options: `needs`, `tags`, `params` and the rest, as in `check_transform`.

    Returns:
        A mark, as `pytest.mark.parametrize` gives.

    Example:
        >>> import jopt
        >>> from jopt.testing import parametrize
        >>> @parametrize(jopt.sgd(0.1), jopt.adam(1e-3), laws=["N1", "N4"])
        ... def test_laws(law):
        ...     law()
    """
    import pytest

    rows = []
    for i, tx in enumerate(transforms):
        subject = subject_of(tx, **options)
        label = tx.spec.name if subject.ours else f"tx{i}"
        label = f"{label}{i}" if len(transforms) > 1 and subject.ours else label
        rows += [
            pytest.param(Trial(law, subject), id=f"{label}-{law.id}")
            for law in chosen(laws)
        ]
    return pytest.mark.parametrize("law", rows)
