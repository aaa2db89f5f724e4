"""Find the layer of a network that gives its classes, and the rule that turns its values into class probabilities.

    declared outputs ──► those that can be classes ──► the one that fits the classes asked for ──► Output
    (else: ends)          (one vector, no regression)

The declared output of the configuration counts; the ends of the graph are looked at only where nothing is declared.
What is no classifier is said to be none, with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mloscope.adaptors.interface import DeclaresLosses, DeclaresOutputs, Layer, RunAdaptor
from mloscope.app.evaluation.notices import IS_ASSUMED, NOTE, Notice, Noticed
from mloscope.app.model_service.class_probabilities import (
    AS_GIVEN,
    BY_VALUE,
    LOGIT_OF_CLASS_1,
    PROBABILITY_OF_CLASS_1,
    SIGMOID,
    SOFTMAX,
    class_count,
)

DECLARED, ONLY_END, AMONG_ENDS, CHOSEN = (
    "declared",
    "the only end of the graph",
    "one of the ends of the graph",
    "chosen",
)

_PASSED_THROUGH = {"flatten", "reshape", "dropout", "squeeze", "identity", "cast"}
"""Kinds of layers that change no value."""
_LINEAR = {"linear", "identity", ""}
_WITH_LINEAR_OUTPUT = {"dense", "convolution", "depthwise convolution", "separable convolution", "bias add"}
"""Kinds whose output is linear where they name no activation."""
_REGRESSION_LOSSES = ("meansquared", "meanabsolute", "mse", "mae", "msle", "mape", "huber", "logcosh", "cosinesimilarity",
                      "poisson", "euclidean", "smoothl1")  # fmt: skip
_OF_EACH = 'The values of "{}" are {}: each class has its own probability, and they need not sum to 1'


@dataclass(frozen=True)
class Output(Noticed):
    """The layer that gives the classes, or why there is none."""

    layer: str | None
    """None where the network has no output at all."""
    rule: str | None
    """One of :data:`mloscope.app.model_service.class_probabilities.RULES`; None exactly where ``refusal`` says why these values are not
    class probabilities."""
    classes: int
    """How many probabilities; of what is no classifier, how many values an image, or 0 where not known."""
    source: str
    """How it was found: :data:`DECLARED`, :data:`ONLY_END`, :data:`AMONG_ENDS` or :data:`CHOSEN`."""
    others: tuple[str, ...] = ()
    """Other outputs of the network that tell classes; they can be chosen instead."""
    refusal: str | None = None
    notices: tuple[Notice, ...] = ()
    """What was assumed, and what stands beside it."""
    certainty: int = 2
    """How sure it is that the values tell classes: 2 for a softmax, one sigmoid or a loss for classes, 1 for several sigmoids
    (a box may have them too), 0 where it is assumed because the number of values fits."""


def output_of(
    run: RunAdaptor, *, corpus_classes: int | None = None, named_classes: int | None = None, chosen: str | None = None
) -> Output:
    """Return the output of the run's network.

    ``corpus_classes``, ``named_classes``: how many classes the corpus has and how many the run names, where known; they decide
    among several heads, and whether numbers that nobody explains may be logits. ``chosen``: the layer that the user named."""
    layers = run.layers()
    by_name = {layer.name: layer for layer in layers}
    names, source = _candidates(run, layers)
    losses = run.losses() if isinstance(run, DeclaresLosses) else {}
    expected = tuple(count for count in (named_classes, corpus_classes) if count)
    if chosen is not None:
        if chosen not in by_name:
            known = ", ".join(names) or "none"
            refusal = f'The selected output "{chosen}" is not a layer of this network; its outputs: {known}.'
            return Output(None, None, 0, CHOSEN, refusal=refusal)
        others = (_read(by_name[name], by_name, losses, source, expected) for name in names if name != chosen)
        telling = tuple(str(each.layer) for each in others if each.rule is not None)
        return replace(_read(by_name[chosen], by_name, losses, CHOSEN, expected, insist=True), others=telling)
    if not names:
        return Output(None, None, 0, source, refusal="The network has no output layer.")
    read = [_read(by_name[name], by_name, losses, source, expected) for name in names]
    telling = [each for each in read if each.rule is not None]
    if not telling:
        return read[0]
    return _best(telling, read, expected)


def _candidates(run: RunAdaptor, layers: Sequence[Layer]) -> tuple[list[str], str]:
    known = {layer.name for layer in layers}
    declared = [name for name in (run.outputs() if isinstance(run, DeclaresOutputs) else ()) if name in known]
    if declared:
        return declared, DECLARED
    taken = {name for layer in layers for name in layer.inputs}
    ends = [layer.name for layer in layers if layer.name not in taken]
    return ends, ONLY_END if len(ends) == 1 else AMONG_ENDS


def _best(telling: Sequence[Output], read: Sequence[Output], expected: Sequence[int]) -> Output:
    """Of the outputs that most certainly give classes, return the one with the expected number of classes, else the
    first. Beside an output that certainly gives classes, unexplained numbers may equally be a regression."""
    surest = max(each.certainty for each in telling)
    rivals = [each for each in telling if each.certainty == surest]
    fitting = next((each for count in expected for each in rivals if each.classes == count), None)
    best = fitting or rivals[0]
    doubtful = [each for each in telling if each.certainty == 0 < surest]
    others = tuple(str(each.layer) for each in telling if each is not best and each not in doubtful)
    notices = list(best.notices)
    if others:
        why = f"because it has {best.classes} classes" if fitting else "because it comes first"
        notices.append(
            Notice(
                NOTE,
                f'The network has several outputs that give classes; "{best.layer}" is used, {why}. '
                f"Others can be chosen: {', '.join(others)}.",
            )
        )
    left = [str(each.layer) for each in read if each.rule is None]
    if left:
        notices.append(Notice(NOTE, f"Outputs that are not class probabilities are left out: {', '.join(left)}."))
    if doubtful:
        names = ", ".join(str(each.layer) for each in doubtful)
        notices.append(Notice(NOTE, f"Outputs that may not give classes are left out: {names} (--output selects one)."))
    return replace(best, others=others, notices=tuple(notices))


def _read(
    layer: Layer,
    by_name: Mapping[str, Layer],
    losses: Mapping[str, str],
    source: str,
    expected: Sequence[int],
    insist: bool = False,
) -> Output:
    """Examine one layer as an output. ``insist``: the user states that it gives classes."""
    shape = layer.output_shape
    if shape is None and layer.kind == "dense":
        shape = next(((p.shape[p.axes.index("unit")],) for p in layer.parameters if "unit" in p.axes), None)
    if shape is None or None in shape:
        # Without a shape the count is unknown until evaluation; trust the number of names.
        values = expected[0] if expected and (shape is None or sum(size is None for size in shape) == len(shape)) else 0
    else:
        values = 1
        for size in shape:
            values *= size or 0
    if shape is not None and sum(size != 1 for size in shape) > 1:
        what = " x ".join("?" if size is None else str(size) for size in shape)
        return _none(
            layer, values, source, f'The output "{layer.name}" is a map of {what} values, not one value per class.'
        )
    if values == 0:
        return _none(layer, values, source, f'The number of values of the output "{layer.name}" is not known.')
    activation = _activation(layer, by_name)
    loss = _plain(losses.get(layer.name, ""))
    if not insist and values in _input_sizes(by_name) and values not in expected and "softmax" not in str(activation):
        refusal = (
            f'The output "{layer.name}" has as many values as the input of the network, {values}; they are not classes.'
        )
        return _none(layer, values, source, refusal)
    rule, notice, refusal = _rule(layer.name, values, activation, loss, expected, insist)
    if rule is None:
        return _none(layer, values, source, refusal)
    several = rule == AS_GIVEN and "sigmoid" in str(activation) and "crossentropy" not in loss
    return Output(
        layer.name, rule, class_count(rule, values), source,
        notices=(notice,) if notice else (),
        certainty=0 if notice and notice.kind == IS_ASSUMED else 1 if several else 2,
    )  # fmt: skip


def _rule(
    name: str, values: int, activation: str | None, loss: str, expected: Sequence[int], insist: bool
) -> tuple[str | None, Notice | None, str]:
    """Return the rule, a notice about it, and the reason if there is none."""
    entropy = "crossentropy" in loss
    is_regression = any(word in loss for word in _REGRESSION_LOSSES)
    if activation is not None and "softmax" in activation and "logsoftmax" not in activation:
        if values > 1:
            return AS_GIVEN, None, ""
        return None, None, f'The output "{name}" is a softmax of one value, which is 1 for every image.'
    if activation is not None and "sigmoid" in activation:
        rule, what = (
            (PROBABILITY_OF_CLASS_1, f'The one value of "{name}" is the probability of the second class')
            if values == 1
            else (AS_GIVEN, _OF_EACH.format(name, "sigmoids"))
        )
        if not is_regression or insist:
            return rule, Notice(NOTE, what + "."), ""
        if class_count(rule, values) in expected:
            assumed = f"{what}. This is assumed, because the loss, {loss}, is used for regression too."
            return rule, Notice(IS_ASSUMED, assumed), ""
    if is_regression and not insist:
        return (
            None,
            None,
            f'The output "{name}" was trained with the loss {loss}, so its values are not class probabilities.',
        )
    if activation is None:
        if values > 1:
            return _if_expected(name, BY_VALUE, values, expected, entropy or insist)
        return _if_expected(name, LOGIT_OF_CLASS_1, 2, expected, entropy or insist)
    if activation in _LINEAR and values > 1 and loss.startswith("binary") and entropy:
        return SIGMOID, Notice(NOTE, _OF_EACH.format(name, "logits, whose sigmoids are shown") + "."), ""
    if activation not in _LINEAR and "logsoftmax" not in activation and not entropy and not insist:
        return None, None, f'The output "{name}" ends in {activation}, which does not give class probabilities.'
    if values == 1:
        return _if_expected(name, LOGIT_OF_CLASS_1, 2, expected, entropy or insist)
    return _if_expected(name, SOFTMAX, values, expected, entropy or insist or "logsoftmax" in activation)


def _if_expected(
    name: str, rule: str, classes: int, expected: Sequence[int], certain: bool
) -> tuple[str | None, Notice | None, str]:
    """Return the rule if something states that these values are classes; else why it does not apply."""
    how = {
        SOFTMAX: f'The values of "{name}" are logits; their softmax is shown',
        LOGIT_OF_CLASS_1: f'The one value of "{name}" is a logit; its sigmoid is the probability of the second class',
        BY_VALUE: f'The values of "{name}" are read as probabilities if they sum to 1, and as logits otherwise',
    }[rule]
    if certain:
        return rule, Notice(NOTE, how + "."), ""
    if classes in expected:
        return rule, Notice(IS_ASSUMED, f"{how}. This is assumed, because there are {classes} classes."), ""
    against = f"; there are {expected[0]} classes" if expected else ""
    return (
        None,
        None,
        (
            f'The output "{name}" has {"one value" if rule == LOGIT_OF_CLASS_1 else f"{classes} values"} per image, and nothing '
            f"says that they give classes{against}. If they do, select the output: --output {name}."
        ),
    )


def _none(layer: Layer, values: int, source: str, refusal: str) -> Output:
    return Output(layer.name, None, values, source, refusal=refusal)


def _input_sizes(by_name: Mapping[str, Layer]) -> set[int]:
    """Return the number of values of each input of the network, if known."""
    shapes = [layer.output_shape for layer in by_name.values() if layer.kind == "input" and layer.output_shape]
    return {math.prod(size or 0 for size in shape) for shape in shapes} - {0, 1}


def _activation(layer: Layer, by_name: Mapping[str, Layer]) -> str | None:
    """Return the last activation of a layer, in lower case without separators; "linear" if there is none; None if
    unknown."""
    for _ in range(len(by_name)):
        said = layer.hyperparameters.get("activation")
        if isinstance(said, dict):
            said = said.get("class_name") or said.get("registered_name")
        if said:
            return _plain(str(said))
        if layer.kind in _PASSED_THROUGH and len(layer.inputs) == 1 and layer.inputs[0] in by_name:
            layer = by_name[layer.inputs[0]]
            continue
        if layer.kind in _WITH_LINEAR_OUTPUT:
            return "linear"
        words = _plain(str(layer.hyperparameters.get("function") or layer.source_class or layer.kind))
        if words in _JOINING and len(layer.inputs) > 1:
            joined = {_activation(by_name[name], by_name) for name in layer.inputs if name in by_name}
            return joined.pop() if len(joined) == 1 and joined & _JOINING[words] else None
        known = layer.kind == "activation" or any(word in words for word in ("softmax", "sigmoid"))
        return words if known else None
    return None


_JOINING = {"concatenate": {"sigmoid"}, "average": {"softmax", "sigmoid"}}
"""Classes of layers that join several others and keep what their values are, where they all went through one of these."""


def _plain(words: str) -> str:
    return "".join(character for character in words.lower() if character.isalnum())
