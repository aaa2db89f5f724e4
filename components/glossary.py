"""Words of the trade that pages explain behind a "?": the same meanings as in the glossary of ``docs/concepts.md``, which a test compares.

``assets/shell/glossary.mjs`` shows the explanation; the browser has the table as data of the page.
"""

from __future__ import annotations

from dash import html

WORDS = {
    "channel": "one of the inputs that each unit combines",
    "norm": "how large an array is: the square root of the sum of its squared values (L2)",
    "calibration error": "how far confidence is from being right, on average: images predicted at 80 % should be right 80 times in 100",
    "rank correlation": "whether units keep their order from A to B: 1 the same order, 0 none, −1 the opposite (Spearman)",
    "margin": "how far the most probable class is ahead of the next one: near 0 the network hesitates",
    "recall": "of the images of a class, the share predicted as it",
    "precision": "of the images predicted as a class, the share that are of it",
    "purity": "the share of a cluster's labelled images that are of its most frequent class",
}


def explained(word: str) -> html.Button:
    """Return the "?" beside a word of :data:`WORDS`."""
    if word not in WORDS:
        raise KeyError(f'The glossary has no "{word}"; it has {", ".join(WORDS)}.')
    return html.Button(
        "?", type="button", className="what-is", **{"data-word": word, "aria-label": f"What is {word}?", "aria-expanded": "false"}
    )  # fmt: skip
