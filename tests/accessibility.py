"""What axe-core finds wrong with a page: :func:`violations`."""

from __future__ import annotations

from typing import Any

import pytest

EVERY_RULE = {"rules": {"target-size": {"enabled": True}}}
"""Also the one that axe-core leaves out by default: targets of 24 x 24 px, or that much room around them."""
RULES_ABOUT_COLOUR = {"runOnly": ["color-contrast", "link-in-text-block"]}
PLOTLY = {"exclude": [[".main-svg"]]}
"""What Plotly draws is one figure with a name; axe-core knows nothing of colours in SVG."""


def violations(page: Any, rules: dict[str, Any] = EVERY_RULE) -> list[str]:
    """A line for each element and rule that it breaks."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed: make test does it"
    )
    options = {"resultTypes": ["violations"], **rules}
    found = axe.Axe().run(page, context=PLOTLY, options=options).response["violations"]
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {' '.join(node['failureSummary'].split())[:300]}"
        for rule in found
        for node in rule["nodes"]
    ]
