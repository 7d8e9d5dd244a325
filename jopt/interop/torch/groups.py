"""Parameter groups: other options, or other optimizers, for some leaves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jopt

Group = Mapping[str, Any]


def param_groups(
    groups: Mapping[str, jopt.Transform] | Sequence[Group],
    optimizer: Callable[..., jopt.Transform] | None = None,
    **defaults: Any,
) -> jopt.Transform:
    """Parameter groups: options, or whole optimizers, by the names of leaves.

    Args:
        groups: As in PyTorch a list of dicts, each with `"params"` and the options in
            which the group differs; `"params"` is a regular expression (or a
            `jopt.where` selector) for the names of leaves, and `"..."` stands for all
            others. Or a dict from such an expression to an optimizer. The first match
            wins.
        optimizer: Of all groups of a list, such as `torch.AdamW`.
        **defaults: Options of all groups.

    Returns:
        A `jopt.partition`.

    Raises:
        TypeError: If a list comes without `optimizer`, or a dict with one.
        ValueError: If a group has no `"params"`.

    Example:
        >>> from jopt.interop import torch
        >>> tx = torch.param_groups(
        ...     [
        ...         {"params": "bias$|scale$", "weight_decay": 0.0},
        ...         {"params": "...", "lr": 3e-4},
        ...     ],
        ...     torch.AdamW,
        ...     lr=1e-3,
        ... )
    """
    if isinstance(groups, Mapping):
        if optimizer is not None or defaults:
            raise TypeError("`groups` is a dict of whole optimizers: give no options.")
        chosen = dict(groups)
    else:
        if optimizer is None:
            raise TypeError(
                "`optimizer` is missing: which one are the groups of? Give one such as "
                "`torch.AdamW`."
            )
        chosen = {
            _selector(group): optimizer(**defaults | _options(group))
            for group in groups
        }
    names = {selector: str(i) for i, selector in enumerate(chosen)}
    return jopt.partition(
        {names[selector]: tx for selector, tx in chosen.items()}, names
    )


def _selector(group: Group) -> Any:
    if not isinstance(group, Mapping) or "params" not in group:
        raise ValueError(
            'every group must be a dict with "params", an expression for the names of '
            f"its leaves, got {group!r}."
        )
    return group["params"]


def _options(group: Group) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}
