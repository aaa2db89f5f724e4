"""The basis of a run's numbers over a corpus: one record, the same in every command, view and API answer.

    run ──► input, preprocessing, output ──┐
                                           ├──► Basis ──► json (REST, pages, --json)
    corpus ──► classes, files passed over ─┘          └─► lines (terminal)

Computed from configurations and names; nothing is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mloscope.adaptors.interface import ASSUMED, Checkpoint, CorpusAdaptor, Preprocessing, RunAdaptor
from mloscope.app.evaluation.class_matching import ClassMatch, match
from mloscope.app.evaluation.notices import IS_ASSUMED, KINDS, LEFT_OUT, NOTE, WARNING, Notice
from mloscope.app.evaluation.outputs import Output, output_of
from mloscope.app.evaluation.own_preprocessing import OwnPreprocessing, unknown_first_layers
from mloscope.app.evaluation.preprocessing import FROM_FILES, FROM_OPTIONS, input_dtype

if TYPE_CHECKING:
    from mloscope.app.evaluation.named_outputs import NamedOutputs
    from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun

_LISTED_CHECKPOINTS = 5
_NAMED_BY = {FROM_OPTIONS: "an option", "saved": "settings saved on a page"}


@dataclass(frozen=True)
class Basis:
    """The record. Without a corpus, what is known of the run alone."""

    run: str
    corpus: str | None
    input_shape: tuple[int | None, int | None, int] | None
    """(row, column, channel) of the images that the network takes."""
    input_dtype: str | None
    """As the network declares it."""
    preprocessing: Preprocessing
    """With the source of each part."""
    own: OwnPreprocessing | None
    """What the network does to pixels by itself."""
    output: Output
    classes: ClassMatch
    names_from: str | None
    """Who named the outputs: ``the run's files``, ``option``, ``saved``; None where nobody did."""
    left_out: tuple[Checkpoint, ...]
    """Checkpoints that cannot be read, with their ``problem``."""
    fitted: tuple[str, ...] = field(default=())
    """How images are made to fit the network's input, where they have to be: sentences."""
    notices: tuple[Notice, ...] = field(default=())

    @property
    def input_range(self) -> tuple[float, float] | None:
        """The smallest and largest value of a pixel at the network's input; None if a mean image is subtracted, whose
        values are not read here."""
        how = self.preprocessing
        if how.mean is not None and not isinstance(how.mean, tuple):
            return None
        means = how.mean or (0.0,)
        ends = [pixel * how.scale - mean for pixel in (0, 255) for mean in means]
        return min(ends), max(ends)

    def json(self) -> dict[str, Any]:
        """The record as JSON; numbers that are floats may be None, never NaN."""
        how = self.preprocessing
        return {
            "run": self.run,
            "corpus": self.corpus,
            "input": {
                "shape": None if self.input_shape is None else list(self.input_shape),
                "dtype": self.input_dtype,
                "range": None if self.input_range is None else list(self.input_range),
                "fitted": list(self.fitted),
            },
            "preprocessing": {
                "scale": how.scale,
                "scale_from": how.scale_from,
                "mean": list(how.mean) if isinstance(how.mean, tuple) else how.mean,
                "mean_from": how.mean_from,
                "channel_order": how.channel_order,
                "channel_order_from": how.channel_order_from,
                "assumed": how.assumed,
                "own_layers": list(self.own.layers) if self.own is not None else [],
            },
            "output": {
                "layer": self.output.layer,
                "rule": self.output.rule,
                "from": self.output.source,
                "others": list(self.output.others),
                "refusal": self.output.refusal,
            },
            "classes": {
                "count": self.output.classes if self.output.rule is not None else 0,
                "names": list(self.classes.names),
                "named_by": self.names_from,
                "corpus_classes": list(self.classes.corpus_classes),
                "matched_by": self.classes.how,
            },
            "checkpoints_left_out": [
                {"step": each.step, "name": each.name, "reason": each.problem} for each in self.left_out
            ],
            "notices": self.notices_json(),
        }

    def notices_json(self) -> list[dict[str, str]]:
        """Only the notices, for answers that link to the record."""
        return [asdict(notice) for notice in self.notices]

    def lines(self) -> list[str]:
        """The record for a terminal: one line each for input, output and classes, then the notices."""
        lines = [f"Pixels: {self.pixels_line()}", f"Output: {self.output_line()}", f"Classes: {self.classes_line()}"]
        return lines + [f"{each.kind.capitalize()}: {each.sentence}" for each in self.notices]

    def pixels_line(self) -> str:
        """Describe the preprocessing, with the source of each part."""
        how = self.preprocessing
        parts = [f"0..255 {_scaling(how.scale)} ({how.scale_from})"]
        if how.mean is not None:
            parts.append(f"minus the mean {_mean_name(how.mean)} ({how.mean_from})")
        if self.input_shape is None or self.input_shape[2] == 3:
            parts.append(f"{how.channel_order.upper()} ({how.channel_order_from})")
        if self.input_shape is not None:
            parts.append("as " + " x ".join("?" if size is None else str(size) for size in self.input_shape))
        return ", ".join(parts)

    def output_line(self) -> str:
        """Describe the layer that gives the classes and the rule, or why there is none."""
        if self.output.rule is None:
            return f"no class probabilities. {self.output.refusal}"
        return f"{self.output.layer} ({self.output.source}), {self.output.rule}"

    def classes_line(self) -> str:
        """Describe the number of classes, the source of their names, and how they were matched."""
        if self.output.rule is None:
            return "none"
        source = _NAMED_BY.get(self.names_from or "", self.names_from)
        who = f"named by {source}" if source else "not named by the run"
        if self.corpus is None:
            return f"{self.output.classes}, {who}"
        how = (
            "not matched with the corpus's"
            if not self.classes.matched
            else f"matched with the corpus's by {self.classes.how}"
        )
        return f"{self.output.classes}, {who}, {how}"


def basis_of(run: ConnectedRun, corpus: ConnectedCorpus | None, saved: NamedOutputs | None = None) -> Basis:
    """Return the basis of an opened run over an opened corpus, or alone. ``saved``: settings made on a page or through
    REST, which take precedence over the run's options and files.

    Raises :class:`AdaptorError` where the run's layers cannot be read."""
    adaptor = run.adaptor
    assert adaptor is not None
    images = corpus.adaptor if corpus is not None else None
    preprocessing, own = run.resolved_preprocessing
    run_names, names_from = _names(run, adaptor, saved)
    chosen = (saved.output if saved is not None else None) or run.options.output
    output = output_of(
        adaptor,
        corpus_classes=len(images.class_names) if images is not None else None,
        named_classes=len(run_names) or None,
        chosen=chosen,
    )
    corpus_names = tuple(images.class_names) if images is not None else None
    # Predictions computed elsewhere can be imported even if the network gives no classes here.
    count = output.classes if output.rule is not None else len(run_names) or len(corpus_names or ())
    classes = match(count, run_names, corpus_names)
    if len(run_names) != count:
        names_from = None  # they are not used
    left_out = tuple(checkpoint for checkpoint in adaptor.checkpoints() if checkpoint.problem)
    record = Basis(
        run.name, corpus.name if corpus is not None and images is not None else None, adaptor.input_shape,
        input_dtype(adaptor), preprocessing, own, output, classes, names_from, left_out,
    )  # fmt: skip
    return _with_notices(record, adaptor, images)


def _names(run: ConnectedRun, adaptor: RunAdaptor, saved: NamedOutputs | None) -> tuple[tuple[str, ...], str | None]:
    for names, source in (
        (saved.classes if saved is not None else (), "saved"),
        (run.options.class_names, FROM_OPTIONS),
        (tuple(adaptor.class_names), FROM_FILES),
    ):
        if names:
            return tuple(names), source
    return (), None


# ----------------------------------------------------------------------------------------------------- notices


def _with_notices(record: Basis, adaptor: RunAdaptor, images: CorpusAdaptor | None) -> Basis:
    fitting = list(_of_fitting(record, images))
    notices = [
        *_of_preprocessing(record, adaptor),
        *fitting,
        *_of_output(record),
        *_of_checkpoints(record.left_out),
        *(Notice(LEFT_OUT, sentence) for sentence in adaptor.problems()),
        *(Notice(LEFT_OUT, sentence) for sentence in (images.problems() if images is not None else ())),
    ]
    unique = list(dict.fromkeys(notices))
    unique.sort(key=lambda notice: KINDS.index(notice.kind))
    fitted = tuple(notice.sentence for notice in fitting)
    return replace(record, fitted=fitted, notices=tuple(unique))


def _of_preprocessing(record: Basis, adaptor: RunAdaptor) -> Iterable[Notice]:
    how, own = record.preprocessing, record.own
    if how.scale_from == ASSUMED:
        unknown = unknown_first_layers(adaptor)
        yield Notice(
            IS_ASSUMED,
            f"Pixels are {_scaling(how.scale)}. This is assumed, because neither the run's files nor its layers specify the "
            "preprocessing; --scale and --mean set it, and mloscope check tries the usual alternatives."
            + (
                f" The effect of these layers on pixels is unknown: {', '.join(unknown[:3])}; if they scale pixels, use --scale 1."
                if unknown
                else ""
            ),
        )
    if how.mean_from == ASSUMED:
        what = "the mean image of this corpus's training split" if how.mean == "corpus" else _mean_name(how.mean)
        yield Notice(
            IS_ASSUMED,
            f"The subtracted mean is assumed to be {what}, because the run's own mean is missing; --mean sets another.",
        )
    if how.channel_order_from == ASSUMED:
        yield Notice(
            IS_ASSUMED,
            f"The channel order, {how.channel_order.upper()}, is assumed; --channel-order sets it.",
        )
    if own is None:
        return
    by = ", ".join(own.layers[:3])
    brightest = max(abs(value) for value in record.input_range or (0.0, 255 * abs(how.scale)))
    if own.takes == 255.0 and brightest <= 8:
        yield Notice(
            WARNING,
            f"The network preprocesses pixels 0..255 itself ({by}), and before that they are {_scaling(how.scale)} "
            f"({how.scale_from}): they are probably scaled twice. Use --scale 1 to avoid this.",
        )
    elif own.takes == 1.0 and brightest > 8:
        yield Notice(
            WARNING,
            f"The network's own layers ({by}) expect pixels 0..1, but get values up to {brightest:g} "
            f"({how.scale_from}). --scale 1/255 would fit.",
        )
    elif own.takes is None:
        yield Notice(NOTE, f"The network preprocesses pixels itself ({by}); the range it expects is uncertain.")
    else:
        yield Notice(NOTE, f"The network preprocesses pixels 0..{own.takes:g} itself ({by}).")


def _of_fitting(record: Basis, images: CorpusAdaptor | None) -> Iterable[Notice]:
    """Yield notices on how images are fitted to the network's input."""
    shape, own = record.input_shape, images.image_shape if images is not None else None
    if shape is None or images is None:
        return
    wanted = " x ".join("?" if size is None else str(size) for size in shape[:2])
    if own is None:
        if None not in shape[:2]:
            yield Notice(NOTE, f"Images of another size are resized to {wanted} (bilinear, antialiased).")
        return
    if any(size not in (None, has) for size, has in zip(shape[:2], own[:2], strict=True)):
        yield Notice(NOTE, f"Images of {own[0]} x {own[1]} are resized to {wanted} (bilinear, antialiased).")
    if shape[2] == 3 and own[2] == 1:
        yield Notice(NOTE, "Grey images are converted for a colour network: all three channels are the same.")
    if shape[2] == 1 and own[2] == 3:
        yield Notice(
            NOTE, "Colour images are converted to grey (ITU-R 601-2 luma) for a network with one input channel."
        )


def _of_output(record: Basis) -> Iterable[Notice]:
    if record.output.rule is None:
        yield Notice(
            WARNING, f"There are no class probabilities, hence no predictions and no accuracy. {record.output.refusal}"
        )
        return
    yield from record.output.notices
    yield from record.classes.notices


def _of_checkpoints(left_out: Sequence[Checkpoint]) -> Iterable[Notice]:
    for checkpoint in left_out[:_LISTED_CHECKPOINTS]:
        yield Notice(LEFT_OUT, f"Step {checkpoint.label or checkpoint.step} is left out: {checkpoint.problem}")
    rest = len(left_out) - _LISTED_CHECKPOINTS
    if rest > 0:
        yield Notice(LEFT_OUT, f"{rest} more checkpoint{'s are' if rest > 1 else ' is'} left out.")


def _scaling(scale: float) -> str:
    for whole in (255, 256, 127.5, 128):
        if abs(scale * whole - 1) < 1e-9:
            return f"divided by {whole:g}"
    return "taken as they are" if scale == 1 else f"multiplied by {scale:g}"


def _mean_name(mean: Any) -> str:
    """Name a mean for people, without its folder."""
    if isinstance(mean, tuple):
        return ", ".join(f"{value:g}" for value in mean)
    return "of the corpus's training split" if mean == "corpus" else str(mean).replace("\\", "/").rpartition("/")[2]
