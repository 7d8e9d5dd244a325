"""Transforms as JSON, through a closed registry: no import paths, no code."""

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jopt._core import registry, select
from jopt._core.decay import Decay
from jopt._core.schedule import Schedule
from jopt._core.spec import did_you_mean, VAR
from jopt._core.transform import Transform

VERSION = 1
MAX_DEPTH = 40
MAX_NODES = 20_000
Json = Any


def to_dict(tx: Transform | Schedule) -> dict[str, Json]:
    """A transform or schedule as a dict that `json.dumps` takes.

    Every argument is written, defaults too, so that a later change of a default does
    not change a stored optimizer.

    Args:
        tx: A transform or schedule made of jopt's pieces and of concrete numbers.

    Returns:
        A dict with the format's version and the calls, nested.

    Raises:
        TypeError: If it holds a function, an optax transform or a tracer, none of
            which can be written; the message names the argument.

    Example:
        >>> from jopt import to_dict, from_dict, sgd
        >>> to_dict(sgd(0.1))["name"]
        'sgd'
        >>> from_dict(to_dict(sgd(0.1, momentum=0.9)))
        sgd(learning_rate=0.1, momentum=0.9)
    """
    return {"jopt": VERSION, **_encode_call(tx, "", 0)}


def from_dict(data: Mapping[str, Json]) -> Any:
    """The transform or schedule that `to_dict` wrote.

    Only names in the registry are called, with plain data, lists, arrays and other
    such calls as arguments.

    Args:
        data: What `to_dict` returned, or `json.load` read.

    Returns:
        A transform or schedule, checked as a call by hand would be.

    Raises:
        ValueError: If the version, a name or an argument is unknown, or the data is
            too large or too deep. The message has the path.
        TypeError: If something is of a wrong kind.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"A config is a dict, got {type(data).__name__}.")
    version = data.get("jopt")
    if version != VERSION:
        raise ValueError(
            f"The config has version {version!r}, this jopt reads {VERSION}. "
            "Write it anew with `to_dict`, or use the version of jopt that wrote it."
        )
    return _Decoder().call({k: v for k, v in data.items() if k != "jopt"}, "config", 0)


def _encode_call(value: Any, path: str, depth: int) -> dict[str, Json]:
    spec = value.spec
    if spec.name in ("foreign", "from_callable"):
        raise TypeError(
            f"`{path or 'the transform'}` is {value!r}, which does not keep its "
            "arguments and cannot be written. Use jopt's own."
        )
    arguments = {
        name: _encode(argument, f"{path}.{name}" if path else name, depth + 1)
        for name, argument in spec.arguments.items()
    }
    return {"name": spec.name, "args": arguments}


def _encode(value: Any, path: str, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise ValueError(f"`{path}` is nested deeper than {MAX_DEPTH}.")
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Transform | Schedule):
        return _encode_call(value, path, depth)
    if isinstance(value, Decay):
        return {"decay": _encode(value.complement, path, depth + 1)}
    if isinstance(value, select.Where):
        fields = {k: v for k, v in vars(value).items() if v not in (None, "", ())}
        return {"where": _encode(fields, path, depth + 1)}
    if isinstance(value, Mapping):
        pairs = [
            [_key(k, path, depth), _encode(v, f"{path}.{k}", depth + 1)]
            for k, v in value.items()
        ]
        return {"ordered" if isinstance(value, OrderedDict) else "dict": pairs}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        kind = "list" if isinstance(value, list) else "tuple"
        items = [_encode(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(value)]
        return {kind: items}
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _encode_array(value, path)
    if isinstance(value, np.dtype | type):
        return {"dtype": jnp.dtype(value).name}
    raise TypeError(
        f"`{path}` is {value!r} of type {type(value).__name__}, which cannot be "
        "written. Select leaves with a regular expression or `jopt.where`."
    )


def _encode_array(value: Any, path: str) -> Json:
    if isinstance(value, Tracer):
        raise TypeError(f"`{path}` is being traced; write the config outside of `jit`.")
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        words = np.asarray(jax.random.key_data(value)).tolist()
        return {"key": words, "impl": str(jax.random.key_impl(value))}
    if value.size > MAX_NODES:
        raise ValueError(f"`{path}` has {value.size} elements; {MAX_NODES} at most.")
    array = np.asarray(value)
    return {"array": array.tolist(), "dtype": array.dtype.name}


def _key(key: Any, path: str, depth: int) -> Json:
    """A key of a dict: text, but for a selector of leaves."""
    return _encode(key, path, depth) if isinstance(key, select.Where) else str(key)


class _Decoder:
    """Reads a config, counting what it has read."""

    def __init__(self):
        self.nodes = 0

    def call(self, data: Mapping[str, Json], path: str, depth: int) -> Any:
        unknown = set(data) - {"name", "args"}
        if unknown or not isinstance(data.get("name"), str):
            raise ValueError(
                f"`{path}` must have the keys `name` and `args`, got {sorted(data)}."
            )
        name, arguments = data["name"], data.get("args", {})
        if name not in registry.names():
            raise ValueError(
                f"`{path}`: nothing named {name!r} is registered."
                + did_you_mean(name, registry.names())
            )
        build = registry.get(name)
        signature = build.factory.signature  # pyright: ignore[reportFunctionMemberAccess]
        args, kwargs = [], {}
        for key, value in arguments.items():
            decoded = self.value(value, f"{path}.{key}", depth + 1)
            parameter = signature.parameters.get(key)
            if parameter is not None and parameter.kind is VAR:
                pairs = isinstance(decoded, Mapping)
                args.extend(decoded.items() if pairs else decoded)
            elif args and parameter is not None:
                raise ValueError(f"`{path}.{key}` comes after positional arguments.")
            else:
                kwargs[key] = decoded
        return _called(build, signature, args, kwargs)

    def value(self, data: Json, path: str, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError(
                f"The config is too large at `{path}`: {MAX_NODES} values and "
                f"{MAX_DEPTH} levels at most."
            )
        if data is None or isinstance(data, bool | int | float | str):
            return data
        if not isinstance(data, Mapping):
            raise ValueError(f"`{path}` must be plain data, got {data!r}.")
        if "name" in data:
            return self.call(data, path, depth)
        tag = next(iter(data), "")
        if tag in ("list", "tuple"):
            items = (
                self.value(v, f"{path}[{i}]", depth + 1)
                for i, v in enumerate(data[tag])
            )
            return list(items) if tag == "list" else tuple(items)
        if tag in ("dict", "ordered"):
            pairs = [
                (self._key(k, path, depth), self.value(v, f"{path}.{k}", depth + 1))
                for k, v in data[tag]
            ]
            return dict(pairs) if tag == "dict" else OrderedDict(pairs)
        if tag == "decay":
            return Decay(self.value(data[tag], path, depth + 1))
        if tag == "where":
            return _where(self.value(data[tag], path, depth + 1), path)
        return _plain(tag, data, path)

    def _key(self, key: Json, path: str, depth: int) -> Any:
        selector = isinstance(key, Mapping) and "where" in key
        return self.value(key, path, depth + 1) if selector else str(key)


def _plain(tag: str, data: Mapping[str, Json], path: str) -> Any:
    if tag == "float" and data[tag] in ("nan", "inf", "-inf"):
        return float(data[tag])
    if tag == "dtype":
        return jnp.dtype(data[tag])
    if tag == "key":
        words = jnp.asarray(data[tag], jnp.uint32)
        return jax.random.wrap_key_data(words, impl=data["impl"])
    if tag == "array":
        array = np.asarray(data[tag])
        if array.size > MAX_NODES or array.dtype.kind not in "bifuc":
            raise ValueError(
                f"`{path}` is not an array of at most {MAX_NODES} numbers."
            )
        return jnp.asarray(array, jnp.dtype(data["dtype"]))
    raise ValueError(f"`{path}` has the unknown tag {tag!r}.")


def _where(fields: Any, path: str) -> select.Where:
    if not isinstance(fields, dict):
        raise ValueError(f"`{path}` must hold the fields of a `where`, got {fields!r}.")
    op, parts = fields.pop("op", ""), fields.pop("parts", ())
    if not op:
        return select.where(**fields)
    whole = isinstance(parts, tuple) and all(isinstance(p, select.Where) for p in parts)
    if fields or op not in ("~", "&", "|") or not parts or not whole:
        raise ValueError(f"`{path}` combines selectors by ~, & or |, got {op!r}.")
    return select.Where(op=op, parts=parts)


def _called(build: Any, signature: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call with the arguments before a `*` parameter passed by position."""
    before = []
    for name, parameter in signature.parameters.items():
        if parameter.kind is VAR:
            return build(*before, *args, **kwargs)
        if args and name in kwargs:
            before.append(kwargs.pop(name))
    return build(**kwargs)
