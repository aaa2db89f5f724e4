"""Every element of the main display (report 5.1, Figure 3), driven as a user drives it."""

import numpy as np
import pytest

pytestmark = pytest.mark.browser


def test_it_opens_on_the_last_checkpoint_with_everything_in_its_place(display, dashboard):
    display.open().wait_drawn("parameters", dashboard.steps[-1])
    display.wait_drawn("features", dashboard.steps[-1])
    page = display.page
    assert page.title().endswith(f" @ {dashboard.steps[-1]} · mnist – ML-o-scope")
    assert page.locator("#time-slider").get_attribute("max") == str(len(dashboard.steps) - 1)
    for place in (
        "#network",
        "#images",
        "#predictions",
        "#layer-details",
        "#unit-heat-map",
        "#unit-course",
        "#prediction-course",
    ):
        assert page.locator(place).is_visible(), place


# 1. ---------------------------------------------------------------------------------------------- layer and unit details


def test_details_tell_kind_hyperparameters_shapes_and_this_steps_numbers(display, dashboard):
    display.show("#layer=conv1&unit=3").wait_drawn()
    details = display.page.locator("#layer-details")
    details.get_by_text("unit 3").first.wait_for()
    said = details.inner_text()
    for part in (
        "conv1",
        "convolution (Conv2D)",
        "parameters",
        "5×5×1×12",
        f"at step {dashboard.steps[-1]}",
        "unit 3",
        "norm",
        "zeros",
    ):
        assert part in said
    details.locator("summary").click()
    details.get_by_text("kernel size").wait_for()
    display.page.keyboard.press("Home")
    details.get_by_text(f"at step {dashboard.steps[0]}").wait_for()


# 2. ----------------------------------------------------------------------------------------------------- image selector


def test_images_are_searched_chosen_and_drawn_at_random(display):
    display.show().wait_drawn("features")
    page = display.page
    page.locator("#images input[type=search], #images input[type=text]").first.fill("test 7")
    thumbnail = page.locator('#images [data-image="test-7"], #images [data-id="test-7"]').first
    thumbnail.click()
    display.wait("view.get().image === 'test-7'")
    page.locator("#images", has_text="test 7").wait_for()
    display.wait_drawn("features")


# 3. ------------------------------------------------------------------------------------------------------------ network


def test_clicking_a_layer_of_the_network_selects_it(display):
    display.show().wait_drawn()
    display.page.locator('#network [data-layer="conv2"]').first.click()
    display.wait("location.hash.includes('layer=conv2')")
    display.page.locator("#layer-details h2", has_text="conv2").wait_for()
    display.wait("document.querySelector('[data-show=parameters] .film-title').textContent.includes('conv2')")
    display.wait_drawn("parameters")


# 4. ------------------------------------------------------------------------------------------------------------ filters


def test_clicking_a_filter_selects_the_unit_and_hovering_tells_its_values(display):
    display.show("#layer=conv1&mode=parameters").wait_loaded()
    canvas = display.canvas()
    box = canvas.bounding_box()
    geometry = canvas.evaluate("canvas => JSON.parse(canvas.dataset.geometry)")
    x, y = box["x"] + box["width"] / geometry["across"] * 1.5, box["y"] + box["height"] / geometry["down"] * 0.5
    display.page.mouse.move(x, y)
    tip = display.page.locator("[data-show=parameters] .film-tip")
    tip.wait_for()
    said = tip.inner_text()
    assert "unit 1" in said
    assert "row" in said
    assert "±" in said
    display.page.mouse.click(x, y)
    display.wait("view.get().unit === 1")
    display.page.locator("#layer-details", has_text="unit 1").wait_for()


def test_the_pixels_are_the_weights_of_the_file(display, dashboard):
    """The canvas against the checkpoint, read with nothing of ours in between but the colour table's inverse."""
    from mloscope.adaptors.registry import open_run

    display.show("#layer=conv1&mode=parameters&colour=grey&symmetric=no&range=fixed").wait_loaded()
    run = open_run(dashboard.folder / "mnist")
    conv1 = next(layer for layer in run.layers() if layer.name == "conv1")
    over_time = np.stack([run.parameters(c, conv1)["kernel"] for c in run.checkpoints()])
    low, high = over_time.min(), over_time.max()
    for index in (0, 3, len(dashboard.steps) - 1):
        display.js("index => time.request(index)", index)
        display.wait_drawn("parameters", dashboard.steps[index])
        drawn = display.canvas().evaluate(
            """canvas => {
              const g = JSON.parse(canvas.dataset.geometry);
              const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
              const out = [];
              for (let unit = 0; unit < 12; unit += 1)
                for (let row = 0; row < g.rows; row += 1)
                  for (let column = 0; column < g.columns; column += 1) {
                    const x = (unit % g.across) * g.stepX + column * g.magnifyX;
                    const y = g.head + Math.floor(unit / g.across) * g.stepY + row * g.magnifyY;
                    out.push(image.data[(y * canvas.width + x) * 4]);
                  }
              return out;
            }"""
        )
        grey = np.array(drawn, float).reshape(12, 5, 5) / 255
        expected = (over_time[index][:, :, 0, :].transpose(2, 0, 1) - low) / (high - low)
        correlation = np.corrcoef(grey.ravel(), expected.ravel())[0, 1]
        order = np.argsort(expected.ravel())
        assert correlation > 0.99
        assert np.all(np.diff(grey.ravel()[order]) >= -2 / 255)  # as dark as the weight is small, everywhere


# 5. --------------------------------------------------------------------------------------------- visualization selector


def test_the_controls_change_what_is_drawn_and_the_address_follows(display):
    display.show("#layer=conv1").wait_loaded()
    display.wait_loaded("features")
    page, before = display.page, display.pixels()
    page.locator("#colour").select_option("magma")
    display.wait("location.hash.includes('colour=magma')")
    display.wait(
        "before => document.querySelector('[data-show=parameters] canvas.film-canvas').toDataURL() !== before", before
    )
    page.locator("#range").select_option("unit")
    display.wait("location.hash.includes('range=unit')")
    page.get_by_text("Feature maps", exact=True).click()
    display.wait("location.hash.includes('mode=features')")
    page.locator("#parameters-pane").wait_for(state="hidden")
    page.get_by_text("Both", exact=True).click()
    display.wait("!document.querySelector('#parameters-pane').hidden && !location.hash.includes('mode=features')")
    page.locator("[data-show=parameters] .film-legend", has_text="unit").wait_for()


def test_a_control_used_while_the_page_catches_up_is_not_put_back(display):
    """The Store "view" comes behind the view itself; what it held before must not undo what somebody has just done."""
    display.show("#layer=dense1&range=unit").wait_drawn()
    display.wait("document.querySelector('#range').value === 'unit'")
    display.page.locator("#units").fill("0-7")  # typed, and not yet entered
    display.js(
        """() => {
          const behind = { ...view.get() };
          document.querySelector("#mode input[value=features]").click();
          dash_clientside.set_props("view", { data: behind });
        }"""
    )
    display.wait("location.hash.includes('mode=features')")
    display.page.locator("#parameters-pane").wait_for(state="hidden")
    assert display.page.locator("#units").input_value() == "0-7"
    display.page.locator("#units").press("Enter")
    display.wait("location.hash.includes('units=0-7')")
    assert display.js("view.get().mode") == "features"
    display.page.go_back()
    display.page.go_back()
    display.wait("document.querySelector('#mode input[value=both]').checked && !document.querySelector('#units').value")


def test_the_array_of_a_layer_is_chosen(display):
    display.show("#layer=conv1").wait_drawn()
    display.page.locator("#parameter").select_option("bias")
    display.wait("document.querySelector('[data-show=parameters] .film-title').textContent.includes('bias')")


def test_dense_weights_have_the_shape_of_the_preceding_map_or_are_a_matrix(display):
    display.show("#layer=dense1&mode=parameters").wait_drawn()
    assert "5 × 5" in display.page.locator("[data-show=parameters] .film-title").inner_text()
    display.page.locator("#layout").select_option("matrix")
    display.wait("location.hash.includes('layout=matrix')")
    display.wait("document.querySelector('[data-show=parameters] .film-title').textContent.includes('400')")


# 6. --------------------------------------------------------------------------------------------------- selection helper


def test_units_are_chosen_by_range_by_rule_and_by_page(display):
    display.open("#layer=dense1&mode=features").wait_drawn("features")
    page = display.page
    page.locator("#units").fill("0-15,40")
    page.keyboard.press("Enter")
    display.wait("location.hash.includes('units=0-15,40')")
    display.wait("document.querySelector('[data-show=features] .film-title').textContent.includes('0–15, 40')")
    page.locator("#units").fill("5-2")
    page.keyboard.press("Enter")
    page.locator("#units-note", has_text='"2-5" would be right').wait_for()
    page.locator("#unit-rule").select_option("largest-norm")
    display.wait("view.get().units.split(',').length > 5")
    page.locator("#unit-rule-shown", has_text="largest norm").click()
    display.wait("view.get().units === '0-15,40' && document.querySelector('#unit-rule-shown').hidden")
    page.locator("#unit-rule").select_option("largest-norm")
    display.wait("view.get().units.split(',').length > 5")
    display.wait("document.querySelector('#units').value === view.get().units")
    page.locator("#units").fill("0-9")
    page.keyboard.press("Enter")
    display.wait("view.get().units === '0-9'")
    page.locator("#next-units").click()
    display.wait("view.get().units === '10-19'")
    page.locator("#previous-units").click()
    display.wait("view.get().units === '0-9'")


# 7. ----------------------------------------------------------------------------------------------------------- timeline


def test_dragging_a_loaded_film_asks_the_server_for_nothing(display, dashboard):
    display.open("#layer=conv1").wait_loaded()
    display.wait_loaded("features")
    display.wait_quiet()
    slider = display.page.locator("#time-slider").bounding_box()
    middle = slider["y"] + slider["height"] / 2
    display.page.mouse.move(slider["x"] + slider["width"] - 4, middle)
    display.page.mouse.down()
    display.requests.clear()
    seen = set()
    for share in np.linspace(1, 0, 30):
        display.page.mouse.move(slider["x"] + 6 + share * (slider["width"] - 12), middle)
        display.frames()
        seen.add(display.canvas().get_attribute("data-step"))
    assert display.requests == []
    display.page.mouse.up()
    assert len(seen) >= len(dashboard.steps) - 1
    display.wait_drawn("parameters", dashboard.steps[0])
    display.wait("step => document.querySelector('.ridges').dataset.marked === String(step)", dashboard.steps[0])
    assert display.page.locator(".ridges .trace.is-now").count() >= 1
    assert display.page.locator(".ridges-said").first.inner_text().startswith(f"Step {dashboard.steps[0]}: ")
    assert display.page.locator(".timeline-legend").inner_text().startswith("training loss")


@pytest.mark.slow
def test_only_the_charts_that_show_what_changed_are_drawn_anew(display):
    display.open("#layer=conv1&mode=both").wait_loaded("features")
    page = display.page
    display.wait_quiet()
    asked = []

    def note(request):
        if request.method == "POST":
            asked.append(request.post_data_json["output"])

    page.on("request", note)
    expected = []

    def asks_for(outputs, key, value):
        """Change the view: these outputs are asked for; what is asked for besides is seen after the next change at the latest."""
        expected.extend(outputs)
        display.js("([key, value]) => view.set({ [key]: value })", [key, value])
        display.wait("([key, value]) => dash_component_api.getLayout('view').props.data[key] === value", [key, value])
        display.until(lambda: len(asked) >= len(expected))
        assert sorted(asked) == sorted(expected)

    of_image = ["map-histograms.figure", "prediction-course.figure", "unit-map.figure"]
    of_unit = ["layer-details.children", "unit-course.figure", "unit-heat-map.figure", "unit-map.figure"]
    asks_for(of_image, "image", "test-3")
    asks_for(of_unit, "unit", 2)
    asks_for([], "colour", "magma")
    asks_for(of_unit, "mode", "features")
    asks_for(of_image, "image", "test-4")
    asks_for(of_unit, "unit", 1)
    page.remove_listener("request", note)
    page.get_by_role("link", name="Confusion").click()
    page.get_by_role("link", name="Network").click()
    page.locator("#layer-details h2", has_text="conv1").wait_for()
    display.wait("document.querySelectorAll('#prediction-course .trace').length > 1")


def test_keys_move_time_and_typing_a_step_jumps(display, dashboard):
    display.open().wait_drawn()
    page, steps = display.page, dashboard.steps
    page.keyboard.press("Home")
    display.wait_drawn("parameters", steps[0])
    page.keyboard.press("ArrowRight")
    display.wait_drawn("parameters", steps[1])
    page.keyboard.press("Shift+ArrowRight")
    display.wait_drawn("parameters", steps[-1])
    page.locator(".timeline input:not([type=range])").fill(str(steps[3]))
    page.keyboard.press("Enter")
    display.wait_drawn("parameters", steps[3])
    page.wait_for_selector(f'#time-slider[aria-valuetext*="step {steps[3]}"]')


def test_playing_shows_every_checkpoint_and_leaves_the_history_alone(display, dashboard):
    display.open("#layer=conv1").wait_loaded()
    display.wait_loaded("features")
    page = display.page
    page.keyboard.press("Home")
    display.wait_drawn("parameters", dashboard.steps[0])
    entries = display.js("history.length")
    display.js(
        """() => {
          window.shown = [];
          const canvas = document.querySelector('[data-show=parameters] canvas.film-canvas');
          time.subscribe(() => shown.push(Number(canvas.dataset.step)));
        }"""
    )
    page.keyboard.press("Space")
    display.wait("step => !time.playing && time.step === step", dashboard.steps[-1])
    display.wait_drawn("parameters", dashboard.steps[-1])
    assert set(display.js("shown")) >= set(dashboard.steps[1:-1])
    assert display.js("history.length") == entries


# 8. -------------------------------------------------------------------------------------------------------- predictions


def test_predicted_classes_follow_time_and_equal_the_networks_own(display, dashboard):
    import json
    import urllib.request

    display.open("#image=test-11").wait_drawn("features")
    display.wait(
        "document.querySelector('#predictions').dataset.state === 'ready' || document.querySelector('#predictions [data-state=ready]')"
    )
    for key, step in (("Home", dashboard.steps[0]), ("End", dashboard.steps[-1])):
        display.page.keyboard.press(key)
        display.wait_drawn("parameters", step)
        address = f"{dashboard.address}/api/v1/runs/mnist/checkpoints/{step}/predictions/test-11?corpus=mnist-digits"
        with urllib.request.urlopen(address) as answer:
            probabilities = json.load(answer)["probabilities"]
        best = int(np.argmax(probabilities))
        row = display.page.locator("#predictions .predictions-row").nth(best)
        row.filter(has_text=f"{100 * probabilities[best]:.1f}").wait_for()
    display.wait("document.querySelectorAll('#prediction-course .js-plotly-plot .scatterlayer .trace').length >= 5")


# 9. ----------------------------------------------------------------------------------------------------- enlarged unit


def test_the_enlarged_unit_shows_exact_values_and_their_course(display, dashboard):
    from mloscope.adaptors.registry import open_run

    display.open("#layer=conv1&unit=2&mode=parameters").wait_drawn()
    run = open_run(dashboard.folder / "mnist")
    conv1 = next(layer for layer in run.layers() if layer.name == "conv1")
    for key, checkpoint in (("End", run.checkpoints()[-1]), ("Home", run.checkpoints()[0])):
        display.page.keyboard.press(key)
        kernel = run.parameters(checkpoint, conv1)["kernel"][:, :, 0, 2]
        display.wait(
            """wanted => {
              const plot = document.querySelector('#unit-heat-map .js-plotly-plot');
              const trace = plot && plot.data && plot.data[0];
              return trace && trace.customdata && Math.abs(Number(trace.customdata[0][0][0]) - wanted) < 1e-12 + Math.abs(wanted) * 1e-7;
            }""",
            float(kernel[0, 0]),
        )
        told = display.js(
            "document.querySelector('#unit-heat-map .js-plotly-plot').data[0].customdata.map(row => row.map(cell => cell[0]))"
        )
        np.testing.assert_array_equal(np.array(told, np.float32), kernel)
    display.wait("document.querySelectorAll('#unit-course .scatterlayer .trace').length === 25")
    display.wait(
        "document.querySelector('.display-unit .time-cursor-line') && !document.querySelector('.display-unit .time-cursor-line').hidden"
    )


# links and history --------------------------------------------------------------------------------------------------------


def test_a_link_shows_the_same_pixels_in_another_browser(display, dashboard, another_display):
    step = dashboard.steps[3]
    display.open(f"#step={step}&layer=conv2&unit=2&units=0-7&image=test-5&colour=cividis&range=step").wait_loaded()
    display.wait_loaded("features")
    address = display.js("location.href")
    another_display.page.goto(address)
    another_display.wait_loaded()
    another_display.wait_loaded("features")
    for show in ("parameters", "features"):
        another_display.wait_drawn(show, step)
        assert another_display.pixels(show) == display.pixels(show)


def test_back_and_forward_undo_and_redo_a_selection(display):
    display.open("#layer=conv1").wait_drawn()
    display.page.locator('#network [data-layer="conv2"]').first.click()
    display.wait("view.get().layer === 'conv2'")
    display.page.go_back()
    display.wait("view.get().layer === 'conv1'")
    display.wait_drawn()
    display.page.go_forward()
    display.wait("view.get().layer === 'conv2'")


@pytest.mark.own_page
def test_the_theme_is_switched_and_remembered(display):
    display.open().wait_drawn()
    display.page.get_by_text("Theme", exact=True).click()
    display.wait("document.documentElement.dataset.theme === 'dark'")
    display.page.reload()
    display.wait_drawn()
    assert display.js("document.documentElement.dataset.theme") == "dark"


def test_the_keyboard_map_opens_with_a_question_mark(display):
    display.open().wait_drawn()
    display.page.keyboard.press("?")
    display.page.get_by_text("play or pause").wait_for()
    display.page.keyboard.press("Escape")
    display.page.get_by_text("play or pause").wait_for(state="hidden")


@pytest.mark.parametrize(
    "page", ["", *(pytest.param(other, marks=pytest.mark.slow) for other in ("clusters", "confusion", "compare"))]
)
def test_every_chart_has_its_buttons_and_what_they_save_is_the_chart(display, page):
    display.open("#layer=conv1&image=test-3", search=f"{page}?run=damaged")
    display.wait("() => document.querySelector('.chart .js-plotly-plot .trace')")
    frames = display.page.locator(".chart")
    assert frames.count() > 0
    for frame in frames.all():
        assert frame.locator("[data-chart-format]").all_text_contents() == ["PNG", "SVG"]
    assert display.js("() => [...document.querySelectorAll('.js-plotly-plot')].length") >= 1
    drawn = display.page.locator(".chart:visible").filter(has=display.page.locator(".js-plotly-plot .trace")).first
    for kind, begins in (("png", b"\x89PNG"), ("svg", b"<svg")):
        drawn.locator(".chart-export > summary").click()
        with display.page.expect_download() as download:
            drawn.locator(f"[data-chart-format={kind}]").click()
        assert download.value.suggested_filename.endswith(f".{kind}")
        assert download.value.path().read_bytes().startswith(begins)
