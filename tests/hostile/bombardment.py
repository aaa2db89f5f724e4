"""Requests made from the OpenAPI document by schemathesis, right and wrong ones, and what has to be true of every answer.

document ─► schemathesis: a request that fits, or one that does not ─► names of what is here, mostly ─► the server
                                                                                             checks ◄── its answer
"""

from __future__ import annotations

import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from raw_http import HANGS_AFTER_S
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from target_server import CORPUS, RUNS, STEPS, TargetServer

LONGEST_S = 5.0
"""An answer that takes longer is as good as none; the processor may be shared with others."""
MEANT_SHARE = 0.9
"""Of the values that could be a name of something here, how many are."""
ROLES = (*["editor"] * 7, *["viewer"] * 2, None)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@dataclass
class Tally:
    """What came of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    """By route, those with 200 or 204."""
    wrong: dict[str, str] = field(default_factory=dict)
    """What was wrong, with a line that repeats it, by route and kind of fault."""
    longest_s: float = 0.0
    longest: str = ""
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        return self.statuses.total()

    @property
    def answered_share(self) -> float:
        return self.statuses[200] / max(1, self.requests)

    def __str__(self) -> str:
        statuses = ", ".join(f"{count} × {status}" for status, count in sorted(self.statuses.items()))
        return (
            f"{self.requests} requests in {self.seconds:.0f} s: {statuses}; the longest took {self.longest_s:.2f} s: "
            f"{self.longest}"
        )


def known_values(target: TargetServer) -> dict[str, Sequence[Any]]:
    """Values that mean something here, by the word of path or query."""
    corpus = target.services.workspace.opened_corpus(CORPUS).adaptor
    images = [corpus.record(position).id for position in range(len(corpus))]
    images.append(f"{images[0]}~shift=1,0~noise=20,1")
    steps = [*STEPS[:-1] * 3, STEPS[-1]]
    with target.visitor() as editor:
        lines = editor.ask("/api/v1/runs/digits/layers/block/conv/film").content.splitlines()
    digests = [line.split(b"/films/")[1][:32].decode() for line in lines if b"/films/" in line]
    assert digests
    saved = target.services.workspace.saved_views
    views = [saved.add(f"view {number}", "", "/?run=digits#step=20", "anna").id for number in range(60)]
    return {
        "view": views, "address": ["/?run=digits#step=0"], "lasso": ["20:-9,-9;9,-9;9,9;-9,9"],
        "run": RUNS, "other": RUNS, "corpus": [CORPUS], "split": ["test"] * 4 + ["training"], "image": images, "digest": digests,
        "step": steps, "a_step": steps, "b_step": steps, "from": steps, "to": steps, "since": steps, "near": steps,
        "kind": ["deconvolution", "attribution", "inversion", "stimulus"], "unit": [0, 1],
        "layer": ["block/conv", "classes"], "a_layer": ["block/conv", "classes"], "b_layer": ["block/conv", ""],
        "parameter": ["kernel", "bias"], "a_parameter": ["kernel"], "b_parameter": ["kernel"],
        "units": ["0-2", "1", ""], "a_units": ["0-2", ""], "b_units": ["0-2", ""], "channels": ["0-2", "1", ""],
        "colour": ["viridis", "grey"], "label": ["ant", "1"], "selected": ["block/conv"], "expanded": ["block"],
        "actual": [0, 1, 2], "predicted": [0, 1, 2, 3], "cluster": [0, 1], "pairs": ["block/conv:block/conv", ""],
        "zoom": [1, 4, 32], "format": ["gif", "zip"], "sweep": ["blur", "shift-right"],
        "statistic": ["accuracy", "recall", "loss"], "search": ["no", "bee"], "x-mloscope": ["1"], "steps": ["0", "0,20"],
    }  # fmt: skip


def chunk_addresses(target: TargetServer) -> dict[str, list[dict[str, str]]]:
    """Words of addresses that belong together, by the end of the path: steps and their digest."""
    with target.visitor() as editor:
        overview = editor.ask("/api/v1/runs/digits/statistics").json()
    chunks = {
        "confusions": overview["confusions"],
        "points": overview["points"],
        "cluster_rows": overview["clusters"]["rows"],
        "cluster_pictures": overview["clusters"]["rows"],
    }
    found: dict[str, list[dict[str, str]]] = {}
    for name, listed in chunks.items():
        words = [parse_qs(urlsplit(chunk["address"]).query) for chunk in listed]
        found[name] = [{word: values[0] for word, values in each.items()} for each in words]
        assert found[name], name
    return found


class Bombardment:
    """One after the other; the same number of requests always sends the same ones."""

    def __init__(self, target: TargetServer) -> None:
        self.target = target
        self.tally = Tally()
        self._known = known_values(target)
        self._chunks = chunk_addresses(target)
        self._schema = schemathesis.openapi.from_dict(target.document)
        self._nothing_wrong: set[str] = set()
        """Operations that every request fits."""
        self._session = requests.Session()
        self._session.trust_env = False

    def run(self, wanted: int, edges: int | None = None) -> Tally:
        """Send at least so many requests: first so many of those at the edges of what the document allows to each route (None:
        all), and then as many to each route as there is to ask of it."""
        began = time.perf_counter()
        operations = [found.ok() for found in self._schema.get_all_operations()]
        dice = random.Random(wanted)
        try:
            for operation in operations:
                for mode in GenerationMode:
                    cases = self._schema.iter_coverage_cases(
                        operation, generation_modes=[mode], generation_config=self._schema.config.generation
                    )
                    for case in itertools.islice(cases, edges):
                        self._send(case, dice)
            for number in range(100):
                left = wanted - self.tally.requests
                if left <= 0:
                    break
                each = max(2, -(-left // (2 * len(operations))))
                for operation in operations:
                    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                        self._round(operation, mode, each, number)
        finally:
            self._session.close()
        self.tally.seconds = time.perf_counter() - began
        return self.tally

    def _round(self, operation: Any, mode: GenerationMode, count: int, number: int) -> None:
        if mode is GenerationMode.NEGATIVE and operation.label in self._nothing_wrong:
            return

        @seed(number)
        @settings(
            max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )  # fmt: skip
        @given(operation.as_strategy(generation_mode=mode), st.integers(0, 2**32 - 1))
        def send(case: Any, dice: int) -> None:
            self._send(case, random.Random(dice))

        try:
            send()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, operation.label
            self._nothing_wrong.add(operation.label)

    def _send(self, case: Any, dice: random.Random) -> None:
        self._name_what_is_here(case, dice)
        role = dice.choice(ROLES)
        began = time.perf_counter()
        try:
            response = case.call(
                base_url=self.target.home,
                session=self._session,
                headers=self.target.headers(role),
                timeout=HANGS_AFTER_S,
            )
        except requests.RequestException as error:
            self._note(case, "no answer", error)
            return
        seconds = time.perf_counter() - began
        label = case.operation.label
        self.tally.statuses[response.status_code] += 1
        self.tally.routes[label] += 1
        self.tally.answered[label] += response.status_code in (200, 204)
        if seconds > self.tally.longest_s:
            self.tally.longest_s, self.tally.longest = seconds, response.request.url[:300]
        if seconds > LONGEST_S:
            self._note(case, "slow", f"{seconds:.1f} s")
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                self._note(case, type(failure).__name__, f"{response.status_code} {failure}")
        for fault in self._own_faults(role, response):
            self._note(case, fault, response.text[:300])

    def _name_what_is_here(self, case: Any, dice: random.Random) -> None:
        """Most names that schemathesis makes up are of nothing; what is wrong on purpose stays."""
        for location, words in (
            (ParameterLocation.PATH, case.path_parameters),
            (ParameterLocation.QUERY, case.query),
            (ParameterLocation.HEADER, case.headers),
            (ParameterLocation.BODY, case.body if isinstance(case.body, dict) else None),
        ):
            if not words or case.meta.is_negative_at(location):
                continue
            for name in words:
                known = self._known.get(name.lower())
                if known and dice.random() < MEANT_SHARE:
                    words[name] = dice.choice(known)
        belonging = self._chunks.get(case.path.rpartition("/")[2])
        if belonging and not case.meta.is_negative_at(ParameterLocation.QUERY) and dice.random() < MEANT_SHARE:
            case.query.update(dice.choice(belonging))
            if not case.meta.is_negative_at(ParameterLocation.PATH):
                case.path_parameters["run"] = RUNS[0]

    def _own_faults(self, role: str | None, response: Any) -> Iterator[str]:
        if role is None and response.status_code < 400:
            yield "answered nobody"
        changes_nothing = response.request.url.endswith("/own-images")
        if (
            role == "viewer"
            and response.request.method == "POST"
            and response.status_code < 400
            and not changes_nothing
        ):
            yield "a viewer started a job"
        if response.status_code >= 400:
            try:
                error = response.json()["error"]
                sentence = error["message"]
                # A line to type ends as it has to be typed.
                to_type = re.search(r"this (?:computes|finds) them: \S*mloscope statistics | pip install ", sentence)
                ends = sentence.endswith(".") or to_type is not None
                if set(error) != {"kind", "message"} or not ends or "Traceback" in sentence:
                    yield "no sentence"
            except (ValueError, KeyError, TypeError):
                yield "no error answer"
        if "default-src 'none'" not in response.headers.get("content-security-policy", [""])[0]:
            yield "no policy"

    def _note(self, case: Any, fault: str, what: Any) -> None:
        key = f"{case.operation.label}: {fault}"
        if key not in self.tally.wrong:
            try:
                line = case.as_curl_command()
            except Exception as error:  # whatever cannot be written as a line is still a fault
                line = f"({error})"
            self.tally.wrong[key] = f"{what}\n    {line}"
