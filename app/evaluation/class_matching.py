"""Match each output of a network with a class of a corpus.

    names of the run ──┐
                       ├──► match ──► ClassMatch: a name and a class of the corpus for every output
    names of the corpus┘

By name if the names agree, else by position if the numbers agree and nothing contradicts it, else not at all:
names of a corpus are never given to outputs of a network with other classes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mloscope.app.evaluation.notices import IS_ASSUMED, NOTE, WARNING, Notice, Noticed

_UNTIL_NAMED = (
    "Nothing is called right or wrong, and there is no accuracy, until the outputs are named: on the page, with "
    "--classes FILE, or as classes in mloscope.toml."
)
BY_NAME, BY_POSITION, NOT_MATCHED = "name", "position", "not matched"

_GENERIC = re.compile(r"(?:class|label|category|output|unit)?[ _-]*\d+", re.IGNORECASE)
_LISTED = 5


@dataclass(frozen=True)
class ClassMatch(Noticed):
    """Outputs and their classes."""

    names: tuple[str, ...]
    """Of every output, in the network's order; ``output 3`` where nobody named it."""
    corpus_classes: tuple[int | None, ...]
    """For every output the class of the corpus, as an index into its class names; None where there is none."""
    how: str
    """:data:`BY_NAME`, :data:`BY_POSITION` or :data:`NOT_MATCHED`."""
    notices: tuple[Notice, ...] = ()
    """What was assumed, and what has no partner."""

    @property
    def matched(self) -> bool:
        """Whether predictions for images of the corpus can be right or wrong."""
        return self.how != NOT_MATCHED

    def output_of(self, label: int | None) -> int | None:
        """Return the output for a class of the corpus, or None."""
        return None if label is None or label < 0 else self._outputs.get(label)

    def outputs_of(self, labels: np.ndarray) -> np.ndarray:
        """Convert labels of the corpus, int (image,), -1 if unknown, to outputs: int32 (image,), -1 if there is
        none."""
        return labels_as_outputs(labels, self.corpus_classes)

    @property
    def _outputs(self) -> Mapping[int, int]:
        return {label: output for output, label in enumerate(self.corpus_classes) if label is not None}


def labels_as_outputs(labels: np.ndarray, corpus_classes: Sequence[int | None]) -> np.ndarray:
    """See :meth:`ClassMatch.outputs_of`."""
    table = np.full(int(labels.max(initial=-1)) + 2, -1, np.int32)  # the last is for label -1
    for output, label in enumerate(corpus_classes):
        if label is not None and label < len(table) - 1:
            table[label] = output
    return table[labels]


def match(outputs: int, run_names: Sequence[str], corpus_names: Sequence[str] | None) -> ClassMatch:
    """Match ``outputs`` outputs, which the run names ``run_names`` (empty if it does not), with the classes of a corpus
    (None: no corpus)."""
    ignored: tuple[Notice, ...] = ()
    if run_names and len(run_names) != outputs:
        sentence = (
            f"The run names {len(run_names)} classes, but its network has {outputs} outputs; the names are ignored."
        )
        ignored, run_names = (Notice(WARNING, sentence),), ()
    own = tuple(run_names) or tuple(f"output {number}" for number in range(outputs))
    if corpus_names is None:
        return ClassMatch(own, (None,) * outputs, NOT_MATCHED, ignored)
    found = _by_name(run_names, corpus_names) if run_names else {}
    smaller = min(outputs, len(corpus_names))
    if run_names and smaller and 2 * len(found) >= smaller:
        return _named_alike(found, run_names, corpus_names)
    refusal = _refusal(outputs, run_names, corpus_names)
    if outputs == len(corpus_names):
        if (place := _counted_otherwise(corpus_names)) is not None:
            refusal = _ambiguous(corpus_names, place)
        elif not run_names or _generic(run_names) or _generic(corpus_names):
            names = tuple(corpus_names) if not run_names or _generic(run_names) else tuple(run_names)
            if run_names:
                why = "the names are numbers on one side."
            else:
                why = "the run has no names to compare." if ignored else "the run does not name its classes."
            assumed = Notice(IS_ASSUMED, f"Classes are matched by position, which is assumed: {why}")
            return ClassMatch(names, tuple(range(outputs)), BY_POSITION, (*ignored, assumed))
    return ClassMatch(own, (None,) * outputs, NOT_MATCHED, (*ignored, Notice(WARNING, refusal)))


def _named_alike(found: Mapping[int, int], run_names: Sequence[str], corpus_names: Sequence[str]) -> ClassMatch:
    """The match by names, of which ``found`` has enough; by position where all that are found stand in their places."""
    outputs, own = len(run_names), tuple(run_names)
    in_place = outputs == len(corpus_names) and all(output == label for output, label in found.items())
    if in_place and len(found) < outputs:
        differing = [output for output in range(outputs) if output not in found]
        pairs = _listed(f'"{run_names[each]}" and "{corpus_names[each]}"' for each in differing)
        assumed = (
            f"{len(found)} of {outputs} classes have the same name and place in run and corpus; the others are "
            f"matched by position: {pairs}."
        )
        return ClassMatch(own, tuple(range(outputs)), BY_POSITION, (Notice(IS_ASSUMED, assumed),))
    notices = tuple(Notice(NOTE, sentence) for sentence in _left_over(found, run_names, corpus_names))
    return ClassMatch(own, tuple(found.get(output) for output in range(outputs)), BY_NAME, notices)


def _ambiguous(corpus_names: Sequence[str], place: int) -> str:
    by_number = sorted(corpus_names, key=_number)[place]
    return (
        f"The corpus's classes are called by numbers, in the order {_listed(corpus_names)}, so whether output {place} stands "
        f'for the class "{by_number}" or for the class "{corpus_names[place]}" is not known. {_UNTIL_NAMED}'
    )


def _refusal(outputs: int, run_names: Sequence[str], corpus_names: Sequence[str]) -> str:
    if run_names:
        why = (
            f"the run's classes are called {_listed(run_names)}, the corpus's {_listed(corpus_names)}"
            if len(run_names) != len(corpus_names) or set(run_names) != set(corpus_names)
            else "several classes have the same name"
        )
    else:
        why = f"the network has {outputs} outputs without names, and the corpus has {len(corpus_names)} classes"
    return f"The network's classes are not matched with the corpus's: {why}. {_UNTIL_NAMED}"


def _left_over(found: Mapping[int, int], run_names: Sequence[str], corpus_names: Sequence[str]) -> list[str]:
    sentences = []
    different = [
        (output, label) for output, label in found.items() if _normal(run_names[output]) != _normal(corpus_names[label])
    ]
    if different:
        pairs = _listed(f'"{run_names[output]}" is "{corpus_names[label]}"' for output, label in different)
        sentences.append(f"Some class names of the run are part of the corpus's, or the reverse: {pairs}.")
    if any(output != label for output, label in found.items()) and len(run_names) == len(corpus_names) == len(found):
        sentences.append("Run and corpus list their classes in different orders; they are matched by name.")
    unknown = [name for label, name in enumerate(corpus_names) if label not in set(found.values())]
    if unknown:
        sentences.append(
            f"{len(unknown)} of the corpus's {len(corpus_names)} classes are not among the network's outputs: "
            f"{_listed(unknown)}. Their images do not count in any rate."
        )
    unused = [name for output, name in enumerate(run_names) if output not in found]
    if unused:
        sentences.append(
            f"{len(unused)} of the network's {len(run_names)} outputs have no class in the corpus: {_listed(unused)}."
        )
    return sentences


def _by_name(run_names: Sequence[str], corpus_names: Sequence[str]) -> dict[int, int]:
    """Map outputs to classes of the corpus, one to one: equal names first; only if these leave one side incomplete,
    also names of which one contains the other (``7`` and ``7 - seven``), if each name of the smaller side has exactly
    one such partner."""
    here, there = _comparable(run_names), _comparable(corpus_names)
    if _clash(here) or _clash(there):  # such as A and a, or C and C++: they differ in what is else not looked at
        here, there = list(run_names), list(corpus_names)
        if _clash(here) or _clash(there):
            return {}
    if _generic(run_names) and _generic(corpus_names) and not (set(here) <= set(there) or set(there) <= set(here)):
        return {}  # 0 to 9 and 1 to 10 are two ways of counting
    place = {name: label for label, name in enumerate(there)}
    equal = {output: place[name] for output, name in enumerate(here) if name in place}
    if len(equal) == min(len(here), len(there)):
        return equal
    holding = {
        output: [label for label, other in enumerate(there) if _holds(name, other) or _holds(other, name)]
        for output, name in enumerate(here)
    }
    pairs = {output: labels[0] for output, labels in holding.items() if len(labels) == 1}
    whole = len(pairs) == len(set(pairs.values())) == min(len(here), len(there))
    return pairs if whole else equal


def _comparable(names: Sequence[str]) -> list[str]:
    return [_normal(name) for name in names]


def _clash(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)


def _normal(name: str) -> str:
    """Normalise a name: case, separators, leading zeros and the encoding of accents."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", name).replace("_", " ").casefold())
    return " ".join(word.lstrip("0") or "0" if word.isdecimal() else word for word in words) or name


def _holds(long: str, short: str) -> bool:
    return f" {short} " in f" {long} "


def _generic(names: Sequence[str]) -> bool:
    return all(_GENERIC.fullmatch(name.strip()) for name in names)


def _counted_otherwise(names: Sequence[str]) -> int | None:
    """Return the first position at which numeric names are not in numeric order, as file systems sort them (0, 1, 10,
    11, 2); a common word before them, as in class_10, is ignored."""
    if not names or not _generic(names):
        return None
    numbers = [_number(name) for name in names]
    return next(
        (place for place, (is_, due) in enumerate(zip(numbers, sorted(numbers), strict=True)) if is_ != due), None
    )


def _number(name: str) -> int:
    return int(re.findall(r"\d+", name)[-1])


def _listed(names: Sequence[str] | object) -> str:
    every = list(names)  # type: ignore[call-overload]
    rest = len(every) - _LISTED
    return ", ".join(every[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
