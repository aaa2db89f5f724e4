"""How a signal passes back through operations whose gradient is not the whole story, by :data:`Rule`.

Within :func:`rules_apply` such operations are marked when a network is traced; :func:`passed_back` reads the rule when the graph
of a backward pass is built. So one trace serves all rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

from mloscope.app.model_service.backends import Rule

_RULE: ContextVar[Rule] = ContextVar("rule", default="gradient")
_RECTIFIERS = {"Relu": tf.raw_ops.ReluGrad, "Relu6": tf.raw_ops.Relu6Grad}
_RECTIFIED, _NORMALISED, _PASSED = "MloscopeRectified", "MloscopeNormalised", "MloscopePassed"


def rules_apply() -> AbstractContextManager[None]:
    """Within it, operations of the current graph are built so that :func:`passed_back` can treat them by its rule."""
    marks = {**dict.fromkeys(_RECTIFIERS, _RECTIFIED), "LRN": _NORMALISED}
    return tf.compat.v1.get_default_graph().gradient_override_map(marks)


def passed_back(output: Any, signal: Any, to: Any, rule: Rule) -> Any | None:
    """The signal at ``output`` passed back to the tensor ``to``; None where none gets there."""
    with _using(rule):
        (found,) = tf.gradients([output], [to], grad_ys=[signal])
    return found if found is None else tf.convert_to_tensor(found)


def passed_by(output: Any, given: Any) -> Any:
    """The output of a layer that hands the signal on to what it was ``given`` unchanged, by the rule ``deconvolution``."""
    if output.shape[1:] != given.shape[1:]:
        return output
    with tf.compat.v1.get_default_graph().gradient_override_map({"IdentityN": _PASSED}):
        return tf.identity_n([output, given])[0]


@contextmanager
def _using(rule: Rule) -> Iterator[None]:
    token = _RULE.set(rule)
    try:
        yield
    finally:
        _RULE.reset(token)


@tf.RegisterGradient(_RECTIFIED)
def _rectified(operation: Any, signal: Any) -> Any:
    rule, output = _RULE.get(), operation.outputs[0]
    if rule != "gradient":
        signal = tf.nn.relu(signal)
    return signal if rule == "deconvolution" else _RECTIFIERS[operation.type](gradients=signal, features=output)


@tf.RegisterGradient(_NORMALISED)
def _normalised(operation: Any, signal: Any) -> Any:
    if _RULE.get() == "deconvolution":
        return signal
    how = {name: operation.get_attr(name) for name in ("depth_radius", "bias", "alpha", "beta")}
    return tf.raw_ops.LRNGrad(
        input_grads=signal, input_image=operation.inputs[0], output_image=operation.outputs[0], **how
    )


@tf.RegisterGradient(_PASSED)
def _passed(_operation: Any, of_output: Any, of_given: Any) -> Sequence[Any]:
    """``of_given`` is nought: nothing takes it."""
    return [None, of_output] if _RULE.get() == "deconvolution" else [of_output, None]
