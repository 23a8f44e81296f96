"""Parameters of parts in lists and dicts: `layers__0__units`, `tasks__kind__layers__deep__rate`.

In a path, parameters and entries of lists take turns. An entry of a list is named by its position
or, if it is a pair (name, part), by its name. An entry of a dict is named by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sklearn.base import clone

from skdeep._component import (
    Component,
    InvalidParameterError,
    is_pair,
    one_copy_of_each,
    resolve,
    unknown_name,
)
from skdeep.activations import ACTIVATIONS
from skdeep.constraints import CONSTRAINTS
from skdeep.initializers import INITIALIZERS
from skdeep.regularizers import REGULARIZERS

# For parameters that estimators and layers have: the parts that names stand for. The names of first
# weights are left out, because an Embedding reads "normal" in another way.
PARTS: Mapping[str, Mapping[str, Callable[..., Component]]] = {
    "activation": ACTIVATIONS,
    "bias_initializer": INITIALIZERS,
    **dict.fromkeys(
        ("kernel_regularizer", "bias_regularizer", "activity_regularizer"), REGULARIZERS
    ),
    **dict.fromkeys(("kernel_constraint", "bias_constraint"), CONSTRAINTS),
}
_PARTS_OF_LAYERS = {**PARTS, "function": ACTIVATIONS, "regularizer": REGULARIZERS}


def named(entries: Sequence, what: str) -> list[tuple[str | None, Any]]:
    """Return (name, content) of each entry of a list; raise if a name is not allowed."""
    found: list[tuple[str | None, Any]] = []
    for i, entry in enumerate(entries):
        if not _is_meant_as_pair(entry):
            found.append((None, entry))
            continue
        name = entry[0]
        problem = _problem_of(name, [known for known, _ in found])
        if problem:
            raise InvalidParameterError(
                f"{what}[{i}]={entry!r}: the name {name!r} {problem}. A name is a text that is "
                "not empty and no number, has no '__', and is in the list once."
            )
        found.append((name, entry[1]))
    return found


def _is_meant_as_pair(entry: Any) -> bool:
    """Whether an entry is (name, layer), be its name allowed or not."""
    if not isinstance(entry, tuple) or len(entry) != 2:
        return False
    return is_pair(entry) or (hasattr(entry[1], "setup") and not hasattr(entry[0], "setup"))


def _problem_of(name: Any, known: Sequence[str | None]) -> str | None:
    if not isinstance(name, str) or not name:
        return "is no text" if name != "" else "is empty"
    if name.isdigit():
        return "is a number, which stands for a position"
    if "__" in name:
        return "contains '__', which separates names in a path"
    return "is there twice" if name in known else None


def holds_parts(value: Any) -> bool:
    """Whether a value is a list or a dict with components in it, or in lists inside it."""
    return isinstance(value, (list, tuple, Mapping)) and any(
        isinstance(entry, Component) or holds_parts(entry) for _, entry in _entries(value)
    )


def _entries(value: Sequence | Mapping) -> list[tuple[Any, Any]]:
    """Return (name or position, content) of each entry of a list or a dict."""
    if isinstance(value, Mapping):
        return list(value.items())
    return [entry if is_pair(entry) else (i, entry) for i, entry in enumerate(value)]


# Reading ----------------------------------------------------------------------------------------


def opened(params: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return parameters, completed with those inside lists, for the parameters with these names."""
    found = dict(params)
    for name in names:
        if holds_parts(params.get(name)):
            found.update(_inside(name, params[name]))
    return found


def _inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of everything inside a list or a component."""
    if isinstance(value, Component):
        for name, inner in value.get_params(deep=True).items():
            yield f"{path}__{name}", inner
    else:
        for name, content in _entries(value):
            if isinstance(content, Component) or holds_parts(content):
                yield f"{path}__{name}", content
                yield from _inside(f"{path}__{name}", content)


# Writing ----------------------------------------------------------------------------------------


def closed(owner: Any, given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return given parameters without paths into lists: the lists are given as changed copies.

    No list and no object that the owner holds is changed, as others may hold it too. A layer in
    several places of a list is one layer in the copy too.
    """
    rest = dict(given)
    held = {name: given.get(name, getattr(owner, name, None)) for name in names}
    paths: dict[str, dict[str, Any]] = {}
    for key in given:
        name, separator, path = key.partition("__")
        if not separator or name not in held:
            continue
        if _is_list(held[name], name):
            paths.setdefault(name, {})[path] = rest.pop(key)
        elif not hasattr(held[name], "set_params"):
            raise InvalidParameterError(
                f"{key} is no parameter, as {name}={held[name]!r} has none; set {name} to "
                "something that has it first."
            )
    return rest | {name: _changed(held[name], changes, name) for name, changes in paths.items()}


def _is_list(value: Any, name: str) -> bool:
    is_unset = value is None and name in ("layers", "tasks")
    return is_unset or isinstance(value, (list, tuple, Mapping))


def _changed(value: Any, changes: Mapping[str, Any], what: str) -> Any:
    """Return a copy of a list, with changes at some paths."""
    known = list(opened({what: value}, [what]))
    with one_copy_of_each():
        twin = _copy(value)
        # A new layer is copied too, as a longer path may lead into it.
        changes = {
            path: _copy(new) if isinstance(new, Component) or holds_parts(new) else new
            for path, new in changes.items()
        }
    for path in sorted(changes, key=lambda path: path.count("__")):
        try:
            twin = _with(twin, path.split("__"), changes[path])
        except LookupError:
            if value is None:
                raise InvalidParameterError(
                    f"{what}__{path} is no parameter, as {what}=None; give {what}=[...] first."
                ) from None
            raise InvalidParameterError(
                unknown_name(f"{what}__{path}", known, "the parameter")
            ) from None
    return twin


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: clone(part, safe=False) for key, part in value.items()}
    return clone(value, safe=False)


def _with(value: Any, path: Sequence[str], new: Any) -> Any:
    """Return a value with another value at a path; raise LookupError if there is no such path."""
    if not path:
        return new
    head, *rest = path
    if isinstance(value, (list, tuple)):
        i = _position(value, head)
        name, content = value[i] if is_pair(value[i]) else (None, value[i])
        content = _with(content, rest, new)
        entry = content if name is None or is_pair(content) else (name, content)
        return type(value)([*value[:i], entry, *value[i + 1 :]])
    if isinstance(value, Mapping):
        return {**value, head: _with(value[head], rest, new)}
    if not isinstance(value, Component):
        raise LookupError
    inner = value.get_params(deep=False)[head]
    if rest and isinstance(inner, str) and inner in _PARTS_OF_LAYERS.get(head, {}):
        inner = resolve(inner, _PARTS_OF_LAYERS[head], head, Component)
    setattr(value, head, _with(inner, rest, new))
    return value


def _position(entries: Sequence, head: str) -> int:
    """Return the position of the entry with this name or position."""
    names = [entry[0] if is_pair(entry) else None for entry in entries]
    if head in names:
        return names.index(head)
    if not head.isdigit() or int(head) >= len(entries):
        raise LookupError
    return int(head)
