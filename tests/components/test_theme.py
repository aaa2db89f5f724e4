import re
from importlib.resources import files

import pytest

from mloscope.components import theme as themes


def tokens_of_css(theme: str) -> dict[str, str]:
    css = files("mloscope.assets").joinpath("theme.css").read_text()
    light, dark = css.split(':root[data-theme="dark"]')
    return dict(re.findall(r"--([\w-]+):\s*([^;]+);", dark if theme == "dark" else light))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_plotly_uses_the_colours_of_the_style_sheet(theme):
    css = tokens_of_css(theme)
    assert {name: css[name] for name in themes.TOKENS[theme]} == themes.TOKENS[theme]


def test_both_themes_define_the_same_colours():
    light, dark = tokens_of_css("light"), tokens_of_css("dark")
    assert set(dark) == {name for name, value in light.items() if value.startswith("#") and name in dark}
    assert {"surface", "text", "accent", "warn", "bad", "good", "missing-a", "missing-b"} <= set(dark)


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ink", ["text", "text-quiet", "accent", "warn", "bad", "good"])
@pytest.mark.parametrize("ground", ["surface", "surface-raised"])
def test_words_can_be_read(theme, ink, ground):
    css = tokens_of_css(theme)
    assert contrast(css[ink], css[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["surface", "surface-raised", "surface-sunken"])
def test_borders_of_fields_can_be_seen(theme, ground):
    css = tokens_of_css(theme)
    assert contrast(css["field-line"], css[ground]) >= 3


@pytest.mark.parametrize("colour", themes.CLUSTERS)
def test_a_cluster_s_colour_can_be_seen_and_is_no_class_s(colour):
    assert min(contrast(colour, themes.TOKENS[theme]["surface"]) for theme in themes.TOKENS) >= 3
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    away = [
        sum(abs(one - int(each[i : i + 2], 16)) for one, i in zip(channels, (1, 3, 5), strict=True))
        for each in themes.CATEGORIES
    ]
    assert min(away) >= 40


def test_an_empty_figure_says_why():
    figure = themes.empty_figure("dark", "Choose an image.")
    assert figure.layout.annotations[0].text == "Choose an image."
