"""Runs that come, grow and go while somebody looks at them, in a folder that the server watches."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mloscope.app.demo.run_folder import checkpoint_name

pytestmark = pytest.mark.browser

GONE = 'The run "first" is no longer available: {folder}/first was removed.'


@pytest.fixture(scope="module")
def watched(runs, serving, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The address of a server, and the folder that it watches, with a run ``first`` in it."""
    folder = tmp_path_factory.mktemp("watched")
    shutil.copytree(runs[0] / "mnist", folder / "first")
    # Without TensorFlow: parameters are enough to see what comes and goes.
    environment = pytest.MonkeyPatch()
    environment.setenv("MLOSCOPE_WATCH_RUNS", str(folder))
    environment.setenv("MLOSCOPE_MODEL_SERVICE_URL", "http://127.0.0.1:9")
    with (
        environment.context(),
        serving([folder / "first"], runs[0] / "mnist-digits.npz", tmp_path_factory.mktemp("cache")) as (_, address),
    ):
        environment.undo()
        yield address, folder


@pytest.fixture
def display(display_of, watched):
    return display_of(watched[0])


def notices(display) -> str:
    return display.page.locator("#notices").inner_text()


# As when somebody comes back to the page, which looks every 5 s otherwise.
LOOKS = """(text) => {
  if (!(performance.now() - window.lookedAt < 500)) {
    window.lookedAt = performance.now();
    document.dispatchEvent(new Event("visibilitychange"));
  }
  const notices = document.querySelector("#notices"); // none until Dash has laid out the page
  return Boolean(notices) && notices.textContent.includes(text);
}"""


def wait_for_notice(display, text: str) -> None:
    display.wait(LOOKS, text)


@pytest.mark.slow
def test_a_run_that_goes_while_it_is_looked_at_says_so_and_what_is_loaded_stays(display, watched, runs):
    folder, steps = watched[1], runs[1]
    display.open("#layer=conv1&mode=parameters", "?run=first").wait_loaded()
    shutil.move(folder / "first", folder.parent / "away")
    try:
        wait_for_notice(display, GONE.format(folder=folder) + " What was loaded before is still shown.")
        assert display.page.locator("#notices .notice").count() == 1
        before = display.pixels()
        display.js("step => time.requestStep(step)", steps[1])
        display.wait_drawn("parameters", steps[1])
        assert display.pixels() != before
        display.page.locator("#layer-details", has_text=GONE.format(folder=folder)).wait_for()
        display.js("view.set({ layer: 'conv2' })")
        display.page.locator("[data-show=parameters]", has_text="is no longer available").wait_for()
        display.wait_drawn("parameters", state="missing")
    finally:
        shutil.move(folder.parent / "away", folder / "first")
    wait_for_notice(display, 'The run "first" is there again.')
    assert "is no longer available" not in notices(display)
    display.wait_drawn("parameters", steps[1])
    assert "layer=conv2" in display.js("location.hash")


@pytest.mark.parametrize(
    "path", ["clusters", *(pytest.param(p, marks=pytest.mark.slow) for p in ("", "confusion", "compare"))]
)
def test_every_page_of_a_run_that_is_gone_says_so_and_comes_to_life_with_it(display, watched, runs, path):
    folder, steps = watched[1], runs[1]
    shutil.move(folder / "first", folder.parent / "away")
    try:
        display.open("#layer=conv1", "?run=first")
        wait_for_notice(display, "is no longer available")
        display.page.goto(f"{watched[0]}/{path}?run=first#step={steps[2]}&layer=conv1")
        wait_for_notice(display, GONE.format(folder=folder))
        assert "no checkpoint" not in notices(display)
        display.page.locator("#_pages_content", has_text="is no longer available").wait_for()
    finally:
        shutil.move(folder.parent / "away", folder / "first")
    wait_for_notice(display, 'The run "first" is there again.')
    display.wait("step => time.step === step", steps[2])
    assert "is no longer available" not in notices(display)


def test_what_comes_and_grows_is_there_without_asking_for_the_page_again(display, watched, runs):
    folder, steps = watched[1], runs[1]
    display.open(f"#layer=conv1&step={steps[1]}&mode=parameters", "?run=first").wait_loaded()
    (folder / "second").symlink_to(runs[0] / "mnist")
    display.wait("() => subject.runs.includes('second')")
    display.wait_drawn("parameters", steps[1])
    saved = folder / "first" / checkpoint_name(steps[-1] + 1)
    try:
        shutil.copy(folder / "first" / checkpoint_name(steps[-1]), saved)
        display.wait("count => time.count === count", len(steps) + 1)
        display.wait_drawn("parameters", steps[1])
        assert notices(display) == ""
    finally:
        saved.unlink()
        (folder / "second").unlink()


@pytest.mark.slow
def test_a_checkpoint_that_is_written_anew_is_shown_anew(display, watched, runs):
    folder, steps = watched[1], runs[1]
    display.open(f"#layer=conv1&step={steps[-1]}&mode=parameters", "?run=first").wait_loaded()
    last, before = folder / "first" / checkpoint_name(steps[-1]), display.pixels()
    kept = last.read_bytes()
    try:
        shutil.copyfile(folder / "first" / checkpoint_name(steps[0]), last)
        display.wait(
            "before => document.querySelector('[data-show=parameters] canvas.film-canvas').toDataURL() !== before",
            before,
        )
        display.wait_drawn("parameters", steps[-1])
        display.wait_loaded()
        assert display.js("() => time.step") == steps[-1]
        assert notices(display) == ""
    finally:
        last.write_bytes(kept)
