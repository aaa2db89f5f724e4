"""A real run whose training went wrong (../shared/real/caffe/lenet_mnist_mixed): NaN at step 161, exploded at 451."""

from __future__ import annotations

import re

import pytest

HEALTHY = (53, 434, 1847, 10000)

PAINTED = """(canvas, tiles) => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const g = JSON.parse(canvas.dataset.geometry);
  const [width, height] = [g.columns * g.magnifyX, g.rows * g.magnifyY];
  const { stepX, stepY, head } = g;
  let clear = 0;
  const colours = new Set();
  let inside = 0;
  for (let y = 0; y < canvas.height; y += 1) for (let x = 0; x < canvas.width; x += 1) {
    if (y < head || x % stepX >= width || (y - head) % stepY >= height) continue;
    if (Math.floor((y - head) / stepY) * g.across + Math.floor(x / stepX) >= tiles) continue; // an empty place
    const at = (y * canvas.width + x) * 4;
    inside += 1;
    if (pixels[at + 3] === 0) clear += 1;
    colours.add(pixels.slice(at, at + 3).join());
  }
  return { inside, clear, colours: colours.size };
}"""


def legend(display, show: str) -> str:
    return display.page.inner_text(f'[data-show="{show}"] .film-rule')


@pytest.mark.parametrize(
    ("layer", "tiles"),
    [
        pytest.param("conv1", 20, marks=pytest.mark.slow),
        ("conv2", 50 * 20),
        pytest.param("ip2", 10, marks=pytest.mark.slow),
    ],
)
def test_filters_of_nan_are_hatched_and_those_that_exploded_flatten_no_others(exploded_display, layer, tiles):
    display = exploded_display
    display.open(f"#step=10000&layer={layer}&mode=parameters").wait_loaded()
    display.page.wait_for_selector(".timeline-explosion[data-step='451']", state="attached")
    for step in HEALTHY:
        display.js("step => time.requestStep(step)", step)
        display.wait_drawn(step=step)
        painted = display.canvas().evaluate(PAINTED, tiles)
        assert painted["clear"] == 0
        assert painted["colours"] > 60, step  # of the scale's 256: these filters are no flat grey
        assert "without step 451, which exploded" in legend(display, "parameters")

    display.js("time.requestStep(161)")
    display.wait_drawn(step=161)
    painted = display.canvas().evaluate(PAINTED, tiles)
    assert painted["clear"] == painted["inside"] > 0
    display.page.locator("#layer-details", has_text=re.compile(r"all .+ values are NaN")).wait_for()

    display.js("time.requestStep(451)")
    display.wait_drawn(step=451)
    assert legend(display, "parameters").startswith("Exploded: the largest value is ")
    assert "range of this step" in legend(display, "parameters")
    assert display.canvas().evaluate(PAINTED, tiles)["colours"] > 20


def test_feature_maps_of_nan_are_hatched_and_predictions_say_so(exploded_display):
    display = exploded_display
    display.open("#step=10000&layer=conv1&mode=features&image=test-3").wait_loaded("features")
    for step in HEALTHY:
        display.js("step => time.requestStep(step)", step)
        display.wait_drawn("features", step)
        painted = display.canvas("features").evaluate(PAINTED, 20)
        assert painted["clear"] == 0
        assert painted["colours"] > 60, step
        display.wait(
            """step => { const root = document.getElementById('predictions');
            return root.dataset.step === String(step) && root.dataset.state === 'ready' && !root.textContent.includes('NaN'); }""",
            step,
        )
    display.js("time.requestStep(161)")
    display.wait_drawn("features", 161)
    painted = display.canvas("features").evaluate(PAINTED, 20)
    assert painted["clear"] == painted["inside"] > 0
    display.wait(
        """() => { const root = document.getElementById('predictions');
        return root.dataset.step === '161' && root.textContent.includes('NaN'); }"""
    )
    display.js("time.requestStep(451)")
    display.wait_drawn("features", 451)
    assert legend(display, "features").startswith("Exploded: ")
