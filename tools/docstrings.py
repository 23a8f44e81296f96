"""Write the estimators' parameters, from the table of options, into docstrings and the docs.

`python -m tools.docstrings` writes; with `--check` it writes nothing, and exits with 1 if a file is
not up to date.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, MultiTaskMLP
from skdeep.building.options import GROUPS, OPTIONS, ByLayer, Option
from tools.writing import ROOT, parse, read, update

MODULES = {
    "skdeep/estimators/classifier.py": MLPClassifier,
    "skdeep/estimators/regressor.py": MLPRegressor,
    "skdeep/estimators/autoencoder.py": MLPAutoencoder,
    "skdeep/estimators/multitask.py": MultiTaskMLP,
}
PAGE = "docs/parameters.md"
ESTIMATORS = tuple(MODULES.values())
WIDTH = 100


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line; return the exit code."""
    only_checks = parse("python -m tools.docstrings", __doc__, arguments)
    return update(rendered, root, only_checks)


def rendered(root: Path) -> dict[Path, str]:
    """Return the text that each file should have."""
    files = {
        root / name: with_parameters(read(root / name), estimator)
        for name, estimator in MODULES.items()
    }
    return {**files, root / PAGE: with_tables(read(root / PAGE))}


# Docstrings -----------------------------------------------------------------------------------


def with_parameters(source: str, estimator: type) -> str:
    """Return a module's source, with the class's section of parameters written from the table."""
    section = re.compile(
        rf"(^class {estimator.__name__}\(.*?^    Parameters\n    -+\n)(.*?)(^    Attributes\n)",
        re.DOTALL | re.MULTILINE,
    )
    entries = "".join(entry(OPTIONS[name], estimator) for name in defaults(estimator))
    new, n_found = section.subn(lambda match: f"{match[1]}{entries}\n{match[3]}", source, count=1)
    if not n_found:
        raise ValueError(f"{estimator.__name__} has no section of parameters before Attributes")
    return new


def defaults(estimator: type) -> dict[str, Any]:
    """Return the constructor's parameters, in order, with their defaults."""
    return {p.name: p.default for p in inspect.signature(estimator).parameters.values()}


def entry(option: Option, estimator: type) -> str:
    """Return the lines of a docstring for an option."""
    head = f"{option.name} : {kind(option)}, default={shown(defaults(estimator)[option.name])}"
    sentences = (
        option.text,
        option.also.get(estimator.__name__),
        sequences(option, estimator),
        schedules(option),
    )
    body = textwrap.fill(
        joined(sentences),
        WIDTH,
        initial_indent=" " * 8,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"    {head}\n{body}\n"


def kind(option: Option) -> str:
    """Return the type of an option, as docstrings name it."""
    if option.type:
        return option.type
    if option.switch:
        return "bool"
    if option.choices is not None:
        return f"{{{', '.join(map(shown, option.choices))}}}"
    if option.limit is None:
        raise ValueError(f"{option.name} needs a type, as its row has no limit")
    number = "int" if option.limit.integer else "float"
    kinds = [number, *map(shown, option.limit.special)]
    kinds += ["Scheduled"] if option.scheduled else []
    if option.goes_by_layer:
        kinds.append(f"sequence of {number if len(kinds) == 1 else 'these'}")
    return " or ".join(kinds) if len(kinds) < 3 else f"{', '.join(kinds[:-1])} or {kinds[-1]}"


def shown(value: Any) -> str:
    """Return a value as docstrings show it: "auto", 1e-5."""
    return f'"{value}"' if isinstance(value, str) else repr(value).replace("e-0", "e-")


def sequences(option: Option, estimator: type) -> str:
    """Return the sentences on the sequences that an option takes."""
    if not option.goes_by_layer:
        return ""
    length = "one entry for each hidden layer"
    if estimator is MLPAutoencoder:
        length = f"one entry for each layer of the encoder, which the decoder mirrors, or {length}"
    if option.by_layer is ByLayer.HIDDEN:
        return f"A sequence has {length}."
    if estimator is MLPAutoencoder:
        return f"A sequence has {length}, with or without one more for the output layer."
    return f"A sequence has {length}, and may have one more for the output layer."


def schedules(option: Option) -> str:
    """Return the sentence on an option that may change over time."""
    if not option.scheduled:
        return ""
    return "A `skdeep.schedules.Scheduled` changes it over time."


def joined(sentences: Iterable[str | None]) -> str:
    """Join sentences, some of which may be missing."""
    return " ".join(sentence for sentence in sentences if sentence)


# The page -------------------------------------------------------------------------------------


def with_tables(page: str) -> str:
    """Return the page with the tables between its markers written from the table of options."""
    for title, options in GROUPS.items():
        block = re.compile(rf"(<!-- options: {title} -->\n).*?(<!-- end -->)", re.DOTALL)
        tables = "\n".join(tables_of(options))
        page, n_found = block.subn(lambda m, tables=tables: f"{m[1]}\n{tables}\n{m[2]}", page)
        if n_found != 1:
            raise ValueError(f"{PAGE} has {n_found} blocks of options: {title}; one is expected")
    return page


def tables_of(options: Sequence[Option]) -> Iterable[str]:
    """Yield the table of the shared options, and one for each estimator that has other options."""
    shared = [option for option in options if is_shared(option)]
    if shared:
        yield table([(option, shared_meaning(option), ESTIMATORS[0]) for option in shared])
    for estimator in ESTIMATORS:
        name = estimator.__name__
        own = [o for o in options if o not in shared and name in o.estimators]
        if own:
            rows = [(o, joined((o.text, o.also.get(name))), estimator) for o in own]
            yield f"### {name} only\n\n{table(rows)}"


def is_shared(option: Option) -> bool:
    """Whether the classifier and the regressor have an option, and all its defaults are equal."""
    owners = [e for e in ESTIMATORS if e.__name__ in option.estimators]
    has_one_default = len({repr(defaults(e)[option.name]) for e in owners}) == 1
    return {MLPClassifier, MLPRegressor} <= set(owners) and has_one_default


def shared_meaning(option: Option) -> str:
    """Return the description for all estimators, with the remarks for some of them."""
    by_remark: dict[str, list[str]] = {}
    for name in option.estimators:
        if name in option.also:
            by_remark.setdefault(option.also[name], []).append(f"`{name}`")
    remarks = [f"{listing(names, 'and')}: {remark}" for remark, names in by_remark.items()]
    missing = [f"`{e.__name__}`" for e in ESTIMATORS if e.__name__ not in option.estimators]
    if missing:
        remarks.append(f"Not in {listing(missing, 'or')}.")
    return joined((option.text, *remarks))


def listing(names: Sequence[str], conjunction: str) -> str:
    """Return names as a list in a sentence: a, b and c."""
    return f" {conjunction} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def table(rows: Sequence[tuple[Option, str, type]]) -> str:
    """Return a table of (option, its meaning, the estimator whose default is shown)."""
    lines = ["| parameter | default | meaning |", "|---|---|---|"]
    for option, meaning, estimator in rows:
        by_layer = {ByLayer.NO: "", ByLayer.HIDDEN: "By layer."}
        prefix = by_layer.get(option.by_layer, "By layer, output too.")
        over_time = "Over time." if option.scheduled else ""
        text = joined((prefix, over_time, as_markdown(meaning), option.page))
        default = defaults(estimator)[option.name]
        lines.append(f"| `{option.name}` | `{default!r}` | {text} |")
    return "\n".join(lines) + "\n"


def as_markdown(text: str) -> str:
    """Put values in quotes into backticks, except within code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r'("[^"]*")', r"`\1`", part) for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    raise SystemExit(main())
