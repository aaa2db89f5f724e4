"""Classify the numbers in a checkpoint's file name: a step, a date, an accuracy, a size ..."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise


class Standing(IntEnum):
    """How likely a number is a step; smaller is likelier."""

    KEYED = 0
    """After a word that says so: epoch, step, iter, ckpt ..."""
    FREE = 1
    """By itself, or after a word such as weights or model."""
    GLUED = 2
    """Part of a word: the 20 of resnet20."""
    OTHER = 3
    """The number of a run, a seed, a version; a date."""
    NEVER = 4
    """A measurement or a setting: a loss, a learning rate, a size, a percentage, a decimal."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number in a name."""

    standing: Standing
    kind: str
    """Of keyed numbers ``step``, ``epoch`` or ``count``; of free ones ``saved`` after weights, model and the like; of
    others the word before, or ``date``."""
    text: str
    value: int | None
    """None where it is not whole."""

    @property
    def is_padded(self) -> bool:
        return len(self.text) > 1 and self.text.startswith("0")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KINDS = {
    "step": _words("step steps globalstep gstep update updates iter iters iteration iterations it itr its"),
    "epoch": _words("epoch epochs ep eps e epoche epoque epoca época эпоха 轮 第"),
    "count": _words("ckpt ckpts checkpoint checkpoints chkpt chkpnt chk cp ckp cpt snapshot snapshots snap"),
}
_SAVED = _words("weights weight wts model models save saved state params variables dump")
_NOT_STEPS = _words(
    "run runs seed fold cv exp experiment trial try attempt version ver v rev release rank gpu worker part shard split "
    "stage phase task job replica member ensemble id uid pid port user node host group variant config cfg"
)
_MEASURES = _words(
    "loss losses acc accuracy accu auc roc ap map miou iou dice f precision recall score metric mse mae rmse mape psnr "
    "ssim fid error err top val value reward return kl elbo perplexity ppl bleu wer cer r2 lr rate wd decay momentum mom "
    "dropout drop bs batchsize size of outof total max alpha beta gamma lambda eps epsilon temp temperature sigma noise "
    "dim dims hidden units filters channels depth width height layers classes px img image res resolution crop pad "
    "patience thr threshold ratio frac fraction percent pct sec secs seconds time min hours l"
)
_MEASURE_ENDINGS = ("loss", "acc", "accuracy", "score", "error")
_FILLERS = _words("no nr num number idx index n at end is done nb after")
_UNITS = _words("px bit bits gb mb kb ms s sec h hr min hz fps gpu gpus x d cls class classes shot")
_PERCENT = _words("pct percent perc prc")
_ORDINALS = _words("st nd rd th")
_THOUSANDS = {"k": 1_000, "m": 1_000_000}

_DAY = r"(?:0[1-9]|[12][0-9]|3[01])"
_MONTH = r"(?:0[1-9]|1[0-2])"
_TIME = r"(?:[01][0-9]|2[0-3])(?:[-_:.h]?[0-5][0-9]){1,2}(?:[.,][0-9]+|[0-9]{6})?z?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]{{0,6}}[-_ ]?"
_TOKEN = re.compile(
    rf"""
    (?P<date>
        (?<![0-9]) (?:
            (?:19|20)[0-9]{{2}} (?P<between>[-_.]?) {_MONTH} (?P=between) {_DAY}
          | {_DAY} (?P<other>[-_.]) {_MONTH} (?P=other) (?:19|20)[0-9]{{2}}
          | (?<![a-z]) {_NAMED_MONTH} {_DAY} (?:[-_ ,]+(?:19|20)[0-9]{{2}})?
        ) (?: [-_t. ]{{0,2}} {_TIME} )? (?![0-9])
      | (?<![0-9]) (?:1[4-9]|2[01])[0-9]{{8}} (?:[0-9]{{3}})? (?![0-9])
    )
  | (?P<size> [0-9]+ (?:[x×][0-9]+)+ )
  | (?P<percent> [0-9]+ (?:[.,][0-9]+)? [ ]?% )
  | (?P<number> (?:(?<=[^0-9a-z])\.)? [0-9]+ (?:[.,][0-9]+)* (?:e[+-][0-9]+)? )
  | (?P<word> [^\W\d_]+ )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A digest: letters and digits, at least one letter after a digit, too long for anything else.
_DIGEST = re.compile(r"(?<![0-9a-z])(?=[0-9a-f]*[0-9][a-f])[0-9a-f]{7,64}(?![0-9a-z])", re.IGNORECASE)
_EXPONENT = re.compile(r"[0-9]e[+-]?[0-9]+$", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(slots=True)
class _Token:
    what: str
    text: str
    glued: bool
    """Nothing stands between it and the token before."""
    sign: str = ""


def words_in(name: str) -> list[str]:
    """Return the words of a name in lower case; ``BestModel_v2`` gives best, model, v."""
    return [token.text for token in _tokens(name) if token.what == "word"]


def numbers_in(name: str) -> list[Number]:
    """Return the numbers of a name (without its extension), in order."""
    tokens = _tokens(name)
    found: list[Number] = []
    for place, token in enumerate(tokens):
        if token.what == "date":
            is_step = token.text.isdigit() and place > 0 and tokens[place - 1].text in _KINDS["step"]
            standing, kind = (Standing.KEYED, "step") if is_step else (Standing.OTHER, "date")
            found.append(Number(standing, kind, token.text, int(token.text) if is_step else _moment(token.text)))
        elif token.what in ("size", "percent"):
            found.append(Number(Standing.NEVER, token.what, token.text, None))
        elif token.what == "number":
            found.append(_number(tokens, place))
    return found


def _moment(date: str) -> int:
    """Return a number that increases with date and time."""
    groups = re.findall(r"[0-9]+", date)
    if month := re.search("|".join(_MONTHS), date):
        day, *rest = groups
        year = rest.pop(0) if rest and len(rest[0]) == 4 else "0"
        groups = [year, f"{_MONTHS.index(month[0]) + 1:02}", day, *rest]
    elif len(groups) > 2 and len(groups[2]) == 4 and len(groups[0]) == 2:
        groups[:3] = reversed(groups[:3])
    digits = "".join(groups)
    return int(digits if len(digits) in (10, 13) and len(groups) == 1 else digits.ljust(20, "0")[:20])


def _tokens(name: str) -> list[_Token]:
    # Each word of a camel-case name counts; the original name shows whether a number is attached to one.
    spaced = _CAMEL.sub(" ", _DIGEST.sub(lambda found: found[0] if _EXPONENT.search(found[0]) else "", name))
    tokens: list[_Token] = []
    end = -1
    for match in _TOKEN.finditer(spaced):
        what = match.lastgroup or ""
        what = "date" if what in ("between", "other") else what
        before = spaced[end if end >= 0 else 0 : match.start()]
        text = match[0].lower()
        pieces = _pieces(text) if what == "number" else [text]
        for number, piece in enumerate(pieces):
            tokens.append(_Token(what, piece, number == 0 and not before and end >= 0, before if number == 0 else "."))
        end = match.end()
    return tokens


def _pieces(text: str) -> list[str]:
    """Split digits and dots into integers and decimals: ``03.0.48`` gives 03 and 0.48."""
    if text.isdigit() or "e" in text or text.startswith("."):
        return [text]
    groups = text.replace(",", ".").split(".")
    pieces: list[str] = []
    leads = groups[0] != "0" and (len(groups) % 2 == 1 or (len(groups[0]) > 1 and groups[0].startswith("0")))
    if leads:
        pieces.append(groups.pop(0))
    while groups:
        pieces.append(".".join(groups[:2]))
        del groups[:2]
    return pieces


def _number(tokens: Sequence[_Token], place: int) -> Number:
    token = tokens[place]
    value = int(token.text) if token.text.isdigit() else None
    behind = place + 1
    if value is not None and _is_word(tokens, behind, glued=True) and tokens[behind].text in _THOUSANDS:
        value *= _THOUSANDS[tokens[behind].text]
        behind += 1
    suffix = tokens[behind].text if _is_word(tokens, behind) else ""
    is_suffix_glued = bool(suffix) and behind == place + 1 and tokens[behind].glued
    if value is not None and token.sign.endswith(("=-", "_-")):
        value = -value
    standing, kind = _standing(*_word_before(tokens, place))
    if suffix in _PERCENT or (is_suffix_glued and suffix in _UNITS):
        return Number(Standing.NEVER, suffix, token.text, None)
    is_named_behind = _kind(suffix) and not (behind + 1 < len(tokens) and tokens[behind + 1].what == "number")
    if is_named_behind and standing != Standing.KEYED:
        standing, kind = Standing.KEYED, _kind(suffix)
    elif is_suffix_glued and suffix not in _ORDINALS and (standing, kind) == (Standing.FREE, ""):
        standing, kind = Standing.GLUED, suffix  # 3dunet
    return Number(Standing.NEVER if value is None else standing, kind, token.text, value)


def _is_word(tokens: Sequence[_Token], place: int, glued: bool = False) -> bool:
    return place < len(tokens) and tokens[place].what == "word" and (tokens[place].glued or not glued)


def _word_before(tokens: Sequence[_Token], place: int) -> tuple[str, bool]:
    """Return the word that labels the number, and whether the number is part of it; empty if another number is between
    them."""
    is_glued = tokens[place].glued
    for back in range(place - 1, -1, -1):
        before = tokens[back]
        if before.what != "word":
            # acc_0_48 is one number, written without a dot.
            joined = before.text == "0" and back == place - 1 and tokens[place].sign in ("_", "-", "p")
            word = _word_before(tokens, back)[0] if joined and before.what == "number" else ""
            return (word, False) if word in _MEASURES else ("", False)
        if before.text == "p" and is_glued and back > 0 and before.glued and tokens[back - 1].what == "number":
            return _word_before(tokens, back - 1)[0], False  # acc0p48
        if before.glued and not _kind(before.text) and back > 0 and tokens[back - 1].what == "number" and not is_glued:
            return "", False  # 128f_01: the word belongs to the number before it
        if before.text not in _FILLERS or back == 0 or tokens[back - 1].what != "word" or is_glued:
            two = tokens[back - 1].text + before.text if back > 0 and tokens[back - 1].what == "word" else ""
            return (two if two in _KINDS["step"] | _MEASURES else before.text), is_glued
    return "", is_glued


@lru_cache(maxsize=4096)
def _standing(word: str, is_glued: bool) -> tuple[Standing, str]:
    kind = _kind(word)
    if kind and (len(word) > 1 or is_glued or not word.isascii()):
        return Standing.KEYED, kind
    if word in _NOT_STEPS:
        return Standing.OTHER, word
    if word in _MEASURES or word.endswith(_MEASURE_ENDINGS):
        return Standing.NEVER, word
    if word in _SAVED or word.endswith(("weights", "model")):
        return Standing.FREE, "saved"
    return (Standing.GLUED if is_glued and word else Standing.FREE), word


def is_measure(word: str) -> bool:
    """Return whether a number after the word, or before it, is a measurement, a setting or a size."""
    return word in _MEASURES or word in _UNITS or word in _PERCENT or word.endswith(_MEASURE_ENDINGS)


@lru_cache(maxsize=4096)
def _kind(word: str) -> str:
    for kind, words in _KINDS.items():
        if word in words:
            return kind
    if len(word) > 5:
        for kind, words in _KINDS.items():
            if any(len(known) > 3 and word.endswith(known) for known in words):
                return kind
    return ""


def rises_evenly(values: Sequence[int]) -> bool:
    """Return whether the sorted values are evenly spaced."""
    ordered = sorted(values)
    return len({second - first for first, second in pairwise(ordered)}) == 1
