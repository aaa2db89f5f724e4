"""The page of metrics: what is drawn follows the view; what is not drawn is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mloscope.app.web.dash.pages.metrics import Metrics, in_names, names_in

VIEW = {
    "runs-chosen": "",
    "b-run": "",
    "metrics": "",
    "metrics-x": "step",
    "metrics-smoothing": "0",
    "metrics-log": "none",
}


@pytest.fixture
def bench(make_bench: Any, array_run: Any) -> Any:
    class Recorded(array_run):
        def metrics(self) -> Any:
            steps = np.arange(0, 400, 10)
            names = ("training loss", "validation loss", "test accuracy", "learning rate", "a, b")
            return dict.fromkeys(names, (steps, steps / 400))

    return make_bench(run=Recorded())


@pytest.fixture
def drawn(bench: Any) -> Any:
    def draw(**changes: str) -> tuple[Any, ...]:
        return Metrics(bench.services).draw(bench.subject(), {**VIEW, **changes}, "light")

    return draw


def rows(figure: Any) -> list[str]:
    return [note["text"] for note in figure["layout"]["annotations"] if "domain" in note["yref"]]


def test_without_a_choice_the_open_run_and_its_first_metrics_are_drawn(drawn: Any) -> None:
    figure, style, buttons, said = drawn()
    assert len(rows(figure)) == 3
    assert any("learning rate" in row for row in rows(figure)), "where it was recorded"
    pressed = [button.children for button in buttons if vars(button)["aria-pressed"] == "true"]
    assert [f"<b>{name}</b>" for name in pressed] == rows(figure)
    assert said == ""
    assert int(style["height"].removesuffix("px")) > 600
    assert figure["layout"]["meta"]["places"][:3] == [0, 10, 20]


def test_metrics_are_chosen_by_name_also_with_commas(drawn: Any) -> None:
    figure, *_ = drawn(metrics=in_names(["a, b"]))
    assert rows(figure) == ["<b>a, b</b>"]
    assert names_in(in_names(["a, b", "50%"])) == ["a, b", "50%"]


def test_what_is_not_drawn_is_said(drawn: Any) -> None:
    assert "gone" in drawn(**{"runs-chosen": "lenet,gone"})[3]
    assert "time" in drawn(**{"metrics-x": "time"})[3]
    figure, _, buttons, _ = drawn(**{"runs-chosen": "lost"})
    assert buttons == []
    assert figure.layout.annotations[0].text


def test_nothing_is_drawn_before_a_run_is_open(bench: Any) -> None:
    from dash import no_update

    assert Metrics(bench.services).draw(None, VIEW, "light") == (no_update,) * 4
