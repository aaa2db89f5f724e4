"""Takes the README's picture: the demo in a browser, at a moment of training. ``make screenshot`` calls it."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent / "images" / "main_display.png"
VIEW = "#step=297&layer=conv1&unit=9&image=test-3"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default="demo-runs", help="where the demo's run lies")
    folder = Path(parser.parse_args().folder)
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "mloscope.app.commands.cli", "serve", str(folder / "mnist")),
            *("--images", str(folder / "mnist-digits.npz"), "--port", "0", "--no-browser"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = next(found[0] for line in server.stdout if (found := re.search(r"http://[\d.:]+", line)))
        with sync_playwright() as playwright:
            system = Path("/usr/bin/chromium")
            browser = playwright.chromium.launch(
                executable_path=str(system) if system.exists() else None,
                args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            page = browser.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="light")
            page.add_init_script("localStorage.setItem('mloscope-hints', '3')")  # not somebody's first visit
            page.goto(f"{address}/{VIEW}")
            # Until both films are complete and the charts are drawn, so that the picture is the same every time.
            page.wait_for_function(
                """() => ["parameters", "features"].every((show) => {
                  const film = document.querySelector(`[data-show=${show}]`);
                  return film && film.dataset.state === "ready" && !film.querySelector(".film-status").textContent;
                }) && document.querySelectorAll(".js-plotly-plot .trace").length > 20""",
                timeout=60_000,
            )
            page.wait_for_timeout(1500)
            PICTURE.parent.mkdir(exist_ok=True)
            page.screenshot(path=PICTURE)
            browser.close()
    finally:
        server.terminate()
        server.wait(20)
    print(PICTURE)


if __name__ == "__main__":
    main()
