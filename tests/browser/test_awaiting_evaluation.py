"""While networks cannot be evaluated yet, the page looks again; the subject remains the server's to describe."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.browser
LOADING = {"possible": False, "passing": True, "state": "loading", "message": "TensorFlow is being loaded."}
WRITTEN = """() => { window.written = []; dash_clientside.set_props = (id) => written.push(id);
    dash_clientside.no_update = undefined; }"""


def test_the_subject_is_requested_again_once_evaluation_is_possible(stage):
    stage.show("TimeSlider")
    stage.js(WRITTEN)
    ready = {"evaluation": {"possible": True, "state": "ready", "message": None, "passing": False}}
    stage.page.route(
        "**/api/v1/runs/*", lambda route: route.fulfill(content_type="application/json", body=json.dumps(ready))
    )
    stage.js(
        "(evaluation) => dash_clientside.mloscope.openSubject({ ...subject, runs: [subject.run], corpora: [], evaluation })",
        LOADING,
    )
    stage.wait("() => written.includes('connections')")
    assert "subject" not in stage.js("() => written")
