"""JavaScript in a page, with what our modules export in reach: ``evaluate(page, "() => time.step")``.

A script is an expression, or a function of one argument. Names of :data:`MODULES` that it mentions are imported into its scope, so
nothing has to lie about in the page for tests only.
"""

from __future__ import annotations

import re
import time
from typing import Any

from playwright.sync_api import Error

APART = '<script type="importmap">{"imports": {"mloscope/": "/assets/"}}</script>'
"""For the head of a page that has our modules as they lie in assets/, which it serves, and not as one."""
LEFT_THE_PAGE = ("context was destroyed", "Failed to resolve module specifier")
"""What the browser says of a script while one page gives way to another: the next page has the modules."""
LOOKS_EVERY_MS = 20
MODULES = {
    "askAgain": "base/asking_again",
    "basisForm": "basis/form",
    "ChartScripts": "base/chart_scripts",
    "isFilmAwaited": "base/chart_scripts",
    "carried": "base/carrying",
    "clusters": "clusters/points",
    "colours": "films/colour_tables",
    "compare": "compare/state",
    "compareExport": "compare/export",
    "confusion": "confusion/state",
    "confusionBytes": "confusion/bytes",
    "confusionCounts": "confusion/counts",
    "fetchAnswer": "base/http",
    "fetchJson": "base/http",
    "filmBytes": "films/bytes",
    "filmDraw": "films/draw",
    "filmSpan": "films/span",
    "films": "films/films",
    "keyTables": "base/keys",
    "grouped": "base/numbers",
    "hints": "shell/hints",
    "notice": "base/notices",
    "onBack": "base/asking_again",
    "openSubject": "base/subject",
    "pageData": "base/page_data",
    "percentOf": "base/numbers",
    "reading": "base/numbers",
    "statistics": "statistics/statistics",
    "StatisticsChunks": "statistics/chunks",
    "subject": "base/subject",
    "TimeBus": "base/time_bus",
    "time": "base/time_bus",
    "titleOf": "shell/title",
    "turns": "compare/turns",
    "view": "base/view",
}


def evaluate(page: Any, script: str, argument: Any = None) -> Any:
    """The value of an expression, or what a function gives for the argument."""
    return page.evaluate(with_modules(script), argument)


def wait(page: Any, script: str, argument: Any = None, timeout_s: float = 30) -> None:
    """Wait until a script is true, also across a navigation; Playwright's ``wait_for_function`` takes no script that
    imports. The page itself looks again and again, by a clock that no test stops."""
    until = time.monotonic() + timeout_s
    while not _becomes_true(page, script, argument, until - time.monotonic()):
        assert time.monotonic() < until, f"{timeout_s:g} s were not enough for: {script}"
        page.wait_for_timeout(20)


def _becomes_true(page: Any, script: str, argument: Any, timeout_s: float) -> bool:
    waits = f"""async ([argument, milliseconds]) => {{
      const look = {with_modules(script)};
      for (let left = milliseconds; left > 0; left -= {LOOKS_EVERY_MS}) {{
        if (await look(argument)) return true;
        await scheduler.postTask(() => {{}}, {{ delay: {LOOKS_EVERY_MS} }});
      }}
      return false;
    }}"""
    try:
        return bool(page.evaluate(waits, [argument, max(timeout_s * 1000, 1)]))
    except Error as error:
        if any(sign in error.message for sign in LEFT_THE_PAGE):
            return False
        raise


def with_modules(script: str) -> str:
    """A function of one argument that runs the script with its imports."""
    properties_apart = r"(?<![\w$'\"])(?<!(?<!\.\.)\.)"
    named = [name for name in MODULES if re.search(rf"{properties_apart}{name}\b", script)]
    imports = "".join(f'const {{ {name} }} = await import("mloscope/{MODULES[name]}.mjs"); ' for name in named)
    return f"async (argument) => {{ {imports}const it = ({script});\n return typeof it === 'function' ? it(argument) : it; }}"
