"""One-place changes of a module's source, made by Cosmic Ray's operators."""

from __future__ import annotations

import ast
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

LEFT_OUT = {"VariableInserter", "VariableReplacer", "RemoveDecorator"}
"""The first two need to be told names; a decorator removed is mostly a type error of no interest."""


SAME = ("ReplaceComparisonOperator_Eq_Is", "ReplaceComparisonOperator_NotEq_IsNot")
"""``is`` for ``==``: Python has small numbers and most names once."""


@dataclass(frozen=True)
class Mutant:
    """A module's source with one place changed."""

    operator: str
    line: int
    """Counted from 1, in the source as it is."""
    before: str
    """The line as it is, without indentation."""
    after: str
    source: str


def mutants_of(source: str, seed: int = 0, drawn: bool = False) -> Iterator[Mutant]:
    """Yield mutants of the source in the order of its lines, or in an order drawn at random; where an operator can be
    replaced by several others, one of them drawn at random. What :func:`_bare` strips
    is left out."""
    draw, lines, original = random.Random(seed), source.splitlines(), _bare(source)
    chosen = [(start[0], *draw.choice(choices)) for (start, _), choices in sorted(_places(source).items())]
    if drawn:
        draw.shuffle(chosen)
    for line, name, occurrence in chosen:
        changed = mutate_code(source, get_operator(name)(), occurrence)
        if changed is None or _bare(changed) in (None, original):
            continue
        yield Mutant(name, line, lines[line - 1].strip(), _line_after(lines, changed.splitlines(), line), changed)


def _places(source: str) -> dict[tuple[tuple[int, int], str], list[tuple[str, int]]]:
    """Where the source can be changed: (line and column, family of operators) to (operator, counted occurrence)."""
    places: dict[tuple[tuple[int, int], str], list[tuple[str, int]]] = defaultdict(list)
    nodes = list(ast_nodes(get_ast(source)))
    for name in sorted(operator_names()):
        operator = name.partition("/")[2]
        family = operator.split("_")[0]
        if family in LEFT_OUT or operator in SAME:
            continue
        finds = get_operator(name)().mutation_positions
        starts = (start for node in nodes for start, _ in finds(node))
        for occurrence, start in enumerate(starts):
            places[start, family].append((name, occurrence))
    return places


def _line_after(before: list[str], after: list[str], line: int) -> str:
    differing = (new for old, new in zip(before[line - 1 :], after[line - 1 :], strict=False) if old != new)
    return next(differing, "").strip()


def _bare(source: str) -> str | None:
    """The program without annotations, docstrings, decorators of classes and ``strict`` of zip; None where it is none."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.ClassDef):
            node.decorator_list = []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip":
            node.keywords = []  # strict says what cannot be, and no test can show it
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    return ast.dump(tree)
