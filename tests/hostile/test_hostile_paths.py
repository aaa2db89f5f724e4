"""Addresses and hashes that want more than they may: nothing outside the workspace is opened, and nothing falls over."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import in_page
import pytest
from bombardment import LONGEST_S, known_values
from hostile_text import ENCODINGS, ODD, words
from opened_files import Untouched, recorded
from PIL import Image
from raw_http import RawClient
from target_server import CORPUS, RUNS, SECRET, TargetServer, served, write_run

from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS

SCHEMA = view_schema(OURS)

PROGRAM = Path(__file__).parents[2]
ALSO_ASKED = (
    "/{}", "//{}", "/compare/{}", "/assets/{}", "/assets/fonts/{}", "/_dash-component-suites/{}", "/_dash-component-suites/dash/{}",
    "/_dash-component-suites/dash/deps/{}", "/api/{}", "/api/v1/{}", "/api/v1/runs/{}/../{}", "/?run={}&corpus={}", "/compare?{}={}",
    "/login?next={}", "/login?next=/{}", "/status/{}", "/metrics?name[]={}", "/healthz/{}", "/_favicon.ico/{}", "{}",
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------- addresses


def places(target: TargetServer) -> list[Callable[[str], str]]:
    """Every part of a path and every word of a query that the document has, with what is right around it; and some more."""
    known = {name: str(values[0]) for name, values in known_values(target).items()}

    def filled(path: str, hostile: str | None = None, word: str = "") -> str:
        return re.sub(r"\{(\w+)\}", lambda part: word if part[1] == hostile else known[part[1]], path)

    found: list[Callable[[str], str]] = []
    for path, item in target.document["paths"].items():
        for operation in item.values():
            listed = operation.get("parameters", ())
            needed = "".join(
                f"&{each['name']}={known.get(each['name'], '0')}"
                for each in listed
                if each["in"] == "query" and each.get("required")
            )
            for each in listed:
                name = each["name"]
                if each["in"] == "path":
                    found.append(lambda word, p=path, n=name, q=needed: f"{filled(p, n, word)}?{q}")
                elif each["in"] == "query":
                    others = re.sub(rf"&{name}=[^&]*", "", needed)
                    found.append(lambda word, p=path, n=name, q=others: f"{filled(p)}?{n}={word}{q}")
    return found + [lambda word, form=form: form.replace("{}", word) for form in ALSO_ASKED]


def attack(target: TargetServer, count: int, number: int) -> Counter[int]:
    """So many hostile addresses, to every place about as many; what came back is looked through."""
    asked, statuses = places(target), Counter[int]()
    assert len(asked) > 200
    random.Random(number).shuffle(asked)
    with target.visitor("viewer") as client:
        for place, word in itertools.islice(
            zip(itertools.cycle(asked), words(target.root, number), strict=False), count
        ):
            address = place(word)
            answer = client.ask(address, headers={"Accept": "text/html, */*"})
            statuses[answer.status] += 1
            assert answer.status < 500, (address, answer.content[:300])
            assert answer.seconds < LONGEST_S, address
            assert SECRET.encode() not in answer.content, address
            assert answer.headers.get("location", "/").startswith("/"), address
            assert not re.match(r"/[/\\]", answer.headers.get("location", "/")), address
    return statuses


@pytest.fixture(scope="module")
def warmed(target: TargetServer) -> None:
    """Everything was asked for once: what is loaded with the first question is no answer to a hostile one."""
    with target.visitor("viewer") as client:
        for place in places(target):
            client.ask(place("x"))
            client.ask(place("digits"))
        for address in (
            "/",
            "/compare",
            "/status",
            "/metrics",
            "/assets/theme.css",
            "/_dash-layout",
            "/_dash-dependencies",
        ):
            client.ask(address)


def allowed(target: TargetServer) -> list[Path]:
    lab = target.root / "lab"
    mine = [*(lab / "runs" / name for name in (*RUNS, "lost")), *(lab / "corpora" / name for name in (CORPUS, "lost"))]
    program = [PROGRAM / name for name in ("adaptors", "app", "components", "assets")]
    python = [Path(sys.prefix), Path(sys.base_prefix)]
    # What /metrics and /status say of this process.
    process = [Path("/proc/self") / name for name in ("statm", "stat", "limits", "fd")]
    return [*mine, target.root / "cache", target.root / "users.json", *program, *python, *process]


@pytest.fixture
def untouched(target: TargetServer) -> Iterator[Untouched]:
    lab = target.root / "lab"
    try:
        watch = Untouched(target.root / "secrets", lab, lab / "runs")
    except (OSError, AttributeError) as error:
        pytest.skip(f"this system does not say who opens a file: {error}")
    yield watch
    watch.close()


def secrets_touched(watch: Untouched, root: Path) -> list[str]:
    return [path for path in watch.touched() if path.startswith(str(root / "secrets")) or "secret" in Path(path).name]


def test_a_secret_that_is_opened_is_noticed(target: TargetServer, untouched: Untouched) -> None:
    """Else the tests below would show nothing."""
    import threading

    def peep() -> None:
        (target.root / "secrets" / "passwd").read_text()
        os.listdir(target.root / "secrets")
        (target.root / "lab" / "secret.txt").read_text()

    with recorded() as files:
        thread = threading.Thread(target=peep)
        thread.start()
        thread.join()
    assert {Path(path).name for _, path in files.outside(allowed(target))} == {"passwd", "secrets", "secret.txt"}
    assert len(secrets_touched(untouched, target.root)) >= 3


@pytest.mark.usefixtures("warmed")
@pytest.mark.timeout(300)
def test_700_hostile_addresses_open_nothing_outside_the_workspace(target: TargetServer, untouched: Untouched) -> None:
    faults = len(target.faults.records)
    untouched.touched()
    with recorded() as files:
        statuses = attack(target, 700, number=1)
    print(statuses)
    assert files.seen, "nothing was recorded at all"
    assert files.outside(allowed(target)) == []
    assert secrets_touched(untouched, target.root) == []
    assert target.faults.records[faults:] == []
    assert statuses[404] > 175


@pytest.mark.slow
@pytest.mark.usefixtures("warmed")
@pytest.mark.timeout(900)
def test_20000_more(target: TargetServer, untouched: Untouched) -> None:
    faults = len(target.faults.records)
    untouched.touched()
    with recorded() as files:
        print(attack(target, 20_000, number=2))
    assert files.outside(allowed(target)) == []
    assert secrets_touched(untouched, target.root) == []
    assert target.faults.records[faults:] == []


@pytest.mark.usefixtures("warmed")
def test_jobs_and_callbacks_take_no_paths_either(target: TargetServer, untouched: Untouched) -> None:
    target.jobs.orders.clear()
    untouched.touched()
    chosen = list(itertools.islice(words(target.root, 3), len(ODD)))
    with recorded() as files, target.visitor() as editor:
        headers = {"Content-Type": "application/json", "X-Mloscope": "1"}
        for encoded, odd in zip(chosen, itertools.cycle(ODD), strict=False):
            for body in ({"action": "start", "corpus": odd}, {"action": "start", "split": odd}, {"action": odd}):
                answer = editor.ask("/api/v1/runs/digits/statistics/job", "POST", headers, json.dumps(body).encode())
                assert answer.status < 500, (body, answer.content)
            editor.ask(f"/api/v1/runs/{encoded}/statistics/job", "POST", headers, b'{"action": "start"}')
            question = {
                "output": ".._pages_content.children..._pages_store.data..",
                "outputs": [
                    {"id": "_pages_content", "property": "children"},
                    {"id": "_pages_store", "property": "data"},
                ],
                "inputs": [
                    {"id": "_pages_location", "property": "pathname", "value": f"/{odd}"},
                    {"id": "_pages_location", "property": "search", "value": f"?run={odd}"},
                ],
                "changedPropIds": [],
            }
            answer = editor.ask("/_dash-update-component", "POST", headers, json.dumps(question).encode())
            assert answer.status == 200, (odd, answer.content)
            assert SECRET.encode() not in answer.content
    assert {order[1:3] for order in target.jobs.orders} <= {("digits", CORPUS)}
    assert files.outside(allowed(target)) == []
    assert secrets_touched(untouched, target.root) == []


def test_what_would_be_a_header_of_its_own_is_none(target: TargetServer) -> None:
    with target.visitor() as editor:
        for path in target.document["paths"]:
            address = re.sub(r"\{(\w+)\}", "0", path).replace("/runs/0", "/runs/digits")
            for value in ("a%0d%0aSet-Cookie:%20a=b", "%00", "%E2%82%AC"):
                names = ("steps", "digest", "format", "from", "to", "a_step", "b_step", "a_layer", "corpus")
                query = "&".join(f"{name}={value if name == 'digest' else '0'}" for name in names)
                answer = editor.ask(f"{address}?{query}", headers={"If-None-Match": "*"})
                assert answer.status < 500, (address, value)
                assert "set-cookie" not in answer.headers


# ------------------------------------------------------------------------------------------------- links in the workspace


def link_out(root: Path) -> None:
    """What an owner may put into a workspace: links to what lies elsewhere, some of it no picture and no checkpoint."""
    elsewhere, run = root / "elsewhere", root / "lab" / "runs" / "digits"
    write_run(elsewhere / "run", 7)
    Image.new("L", (8, 8), 201).save(elsewhere / "shade.png")
    (run / "step_0040.weights.h5").symlink_to(elsewhere / "run" / "step_0000.weights.h5")
    (run / "step_0050.weights.h5").symlink_to(root / "secrets" / "passwd")
    for name in (
        "mloscope_run.json",
        "checkpoints.json",
        "secret.csv",
        "events.out.tfevents.1",
        "metrics.json",
        "history.json",
    ):
        (run / name).symlink_to(root / "secrets" / "passwd")
    (run / "environment.csv").symlink_to("/proc/self/environ")
    (run / "all.csv").symlink_to("/dev/zero")
    pictures = root / "lab" / "corpora" / CORPUS / "test" / "ant"
    (pictures / "shade.png").symlink_to(elsewhere / "shade.png")
    (pictures / "text.png").symlink_to(root / "secrets" / "passwd")
    (pictures / "device.png").symlink_to("/dev/zero")
    (pictures / "nowhere.png").symlink_to(root / "gone.png")
    (pictures / "round").symlink_to(pictures)
    (root / "lab" / "corpora" / CORPUS / "hierarchy.json").symlink_to(root / "secrets" / "passwd")


def test_links_are_followed_and_what_is_no_picture_or_checkpoint_gives_nothing_away(
    tmp_path: Path,
) -> None:
    with served(tmp_path, prepare=link_out) as target, target.visitor("viewer") as client:
        images = client.ask(f"/api/v1/corpora/{CORPUS}/images?limit=1000").json()["images"]
        ids = {image["name"]: image["id"] for image in images}
        addresses = [f"/api/v1/corpora/{CORPUS}/images/{image['id']}.png" for image in images]
        steps = [known["step"] for known in client.ask("/api/v1/runs/digits/checkpoints").json()["checkpoints"]]
        for step in steps:
            at = f"/api/v1/runs/digits/checkpoints/{step}"
            addresses += [f"{at}/layers/block/conv/parameters.{kind}" for kind in ("npy", "png")]
            addresses += [
                f"{at}/layers/block/conv/features/{ids['shade.png']}.npy",
                f"{at}/predictions/{ids['text.png']}",
            ]
        run = "/api/v1/runs/digits"
        addresses += [
            run,
            *(f"{run}/{what}" for what in ("checkpoints", "layers", "metrics", "statistics", "graph.svg")),
        ]
        addresses += [
            f"{run}/layers/block/conv/film",
            f"{run}/comparison/other",
            f"{run}/statistics/class_order?rule=group",
        ]
        addresses += ["/api/v1/runs", f"/api/v1/corpora/{CORPUS}", "/status", "/", "/_dash-layout"]
        answers = {address: client.ask(address) for address in addresses}
        for address, answer in answers.items():
            assert answer.status < 500, (address, answer.content)
            assert SECRET.encode() not in answer.content, address
            assert os.environ["PATH"].encode() not in answer.content, address
        assert answers[f"{run}/checkpoints/40/layers/block/conv/parameters.npy"].status == 200
        assert answers[f"{run}/checkpoints/50/layers/block/conv/parameters.npy"].status == 422
        assert answers[f"/api/v1/corpora/{CORPUS}/images/{ids['shade.png']}.png"].status == 200
        for name in ("text.png", "device.png", "nowhere.png"):
            assert answers[f"/api/v1/corpora/{CORPUS}/images/{ids[name]}.png"].status == 422, name
        assert target.faults.records == []


# --------------------------------------------------------------------------------------------------------------- hashes


def hashes(count: int, seed: int) -> Iterator[str]:
    """Entries of the view and of nothing, with words as in hostile addresses, one or many of them."""
    dice = random.Random(seed)
    keys = [field.key for field in SCHEMA.fields] * 3
    keys += [
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "",
        "a" * 3000,
        "layer[]",
        "step.step",
        "__proto__[polluted]",
    ]
    for _ in range(count):
        entries = []
        for _ in range(dice.choice((1, 1, 2, 5, 40))):
            word = dice.choice(ODD)
            word = word if dice.random() < 0.5 else dice.choice(ENCODINGS)(word)
            entries.append(f"{dice.choice(keys)}{dice.choice(('=', '=', '=', '', '=='))}{word}")
        yield dice.choice(("#", "#", "", "##")) + dice.choice(("&", "&", "&&", ";")).join(entries)


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_hostile_hashes_give_a_whole_view(count: int) -> None:
    complete = set(SCHEMA.defaults())
    for text in hashes(count, seed=5):
        view, problems = SCHEMA.parse(text)
        assert set(view) == complete
        assert view["step"] is None or view["step"] >= 0
        SCHEMA.check(view)
        assert all(problem.endswith(".") for problem in problems)
        again, problems = SCHEMA.parse(SCHEMA.format(view))
        assert (again, problems) == (view, [])


@pytest.fixture
def page(open_page: Callable[..., Any], target: TargetServer) -> Iterator[Any]:
    page = open_page(extra_http_headers=target.headers("viewer"))
    page.set_default_timeout(30_000)
    page.problems = []
    listeners = {
        "pageerror": lambda error: page.problems.append(str(error)),
        "dialog": lambda dialog: (page.problems.append("a dialog"), dialog.dismiss()),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    page.goto(f"{target.home}/?run=digits")
    in_page.wait(page, "() => subject && view.get().layer")
    yield page
    for event, listener in listeners.items():
        page.remove_listener(event, listener)


SOUND = """
() => {
  const schema = JSON.parse(document.getElementById("view-schema").textContent);
  const keys = schema.map(({ key }) => key).filter((key) => key !== "step").sort().join();
  const sound = (view) => Object.keys(view).sort().join() === keys && Object.getPrototypeOf(view) === Object.prototype;
  return {
    sound,
    clean: () => window.hacked === undefined && ({}).polluted === undefined && Object.keys(Object.prototype).length === 0,
  };
}
"""


@pytest.mark.browser
@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_hostile_hashes_are_read_in_the_browser(page: Any, count: int) -> None:
    texts = list(hashes(count, seed=6))
    found = in_page.evaluate(
        page,
        """(texts) => {
          const { sound, clean } = (SOUND)();
          return texts.map((text) => {
            const began = performance.now();
            const { view: read, step, problems } = view.parse(text);
            const again = view.parse(view.format(read, step));
            return { whole: sound(read) && clean(), view: read, step, problems, ms: performance.now() - began,
              same: again.problems.length === 0 && JSON.stringify(again.view) === JSON.stringify(read) };
          });
        }""".replace("SOUND", SOUND),
        texts,
    )
    for text, read in zip(texts, found, strict=True):
        assert read["whole"], text
        assert read["same"], text
        assert read["ms"] < 1000 * LONGEST_S, text
        assert all(problem.endswith(".") for problem in read["problems"])
        SCHEMA.check(read["view"])  # what the server takes from the store
    assert page.problems == []


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hostile_hashes_are_shown_in_the_browser(page: Any, target: TargetServer) -> None:
    scripts = ["<img src=x onerror=window.hacked=1>", "'\"><svg onload=window.hacked=1>", "javascript:window.hacked=1"]
    texts = [
        f"#{key}={word}"
        for word in scripts
        for key in ("layer", "image", "units", "parameter", "b-run", "<b>", "lasso", "fold")
    ]
    texts += list(hashes(24, seed=7))
    faults = len(target.faults.records)
    for path in ("/", "/compare", "/clusters", "/confusion"):
        if path != "/":
            page.click(f'.nav-link[href^="{path}"]')
        in_page.wait(page, "path => location.pathname === path && subject && view.get().layer", path)
        for text in texts[:: 1 if path == "/" else 6]:
            page.evaluate("text => { location.hash = text; }", text[:20_000])
            page.wait_for_timeout(30)
        page.wait_for_timeout(300)
        assert in_page.evaluate(
            page, f"() => {{ const {{ sound, clean }} = ({SOUND})(); return sound(view.get()) && clean(); }}"
        )
        assert (
            page.evaluate("() => document.querySelectorAll('#notices img, #notices svg, #notices script').length") == 0
        )
    assert page.problems == []
    assert target.faults.records[faults:] == []


# ------------------------------------------------------------------------------------------------------ a signed-in viewer


def test_a_viewer_starts_and_changes_nothing(target: TargetServer) -> None:
    """With any method, at any address of the document, or through Dash (test_generated_requests.py asks as a viewer)."""
    target.jobs.orders.clear()
    before = snapshot(target.root)
    with target.visitor("viewer") as viewer:
        for path in target.document["paths"]:
            address = re.sub(r"\{(\w+)\}", "0", path).replace("/runs/0", "/runs/digits")
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                body = b'{"action": "start"}'
                answer = viewer.ask(address, method, {"Content-Type": "application/json", "X-Mloscope": "1"}, body)
                # Viewers may bring images along, of which others see nothing; this is none.
                expected = 422 if (method, path) == ("POST", "/api/v1/own-images") else 403
                assert answer.status == expected, (method, address)
    assert not target.jobs.orders
    assert snapshot(target.root) == before


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(root.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize(
    "questions",
    [
        ["/api/v1/runs/digits/layers/block/conv/film?units=" + "0-99999," * 8000],
        [
            "/api/v1/runs/digits/comparison/other/units?a_step=0&b_step=0&a_layer=block/conv&a_units="
            + "0-99999," * 7000
        ],
        [f"/api/v1/corpora/{CORPUS}/images?search=" + "+".join(f"{number:x}" for number in range(12_000))],
        ["/api/v1/runs/digits/statistics/cluster_pictures?digest=0&steps=" + "0," * 30_000],
        ["/api/v1/runs/digits/comparison/other?pairs=" + "a:b," * 15_000],
        ["/api/v1/runs/digits/graph.svg?expanded=" + "a," * 30_000],
        ["/?" + "a&" * 30_000, "/" + "a/" * 30_000],
    ],
    ids=["units", "units of two runs", "search", "steps", "pairs", "blocks", "page"],
)
def test_a_long_question_takes_no_longer_than_a_short_one(target: TargetServer, questions: Sequence[str]) -> None:
    with target.visitor("viewer") as viewer:
        for question in questions:
            answer = viewer.ask(question)
            assert answer.status < 500
            assert answer.seconds < LONGEST_S / 2
            assert len(answer.content) < 1 << 20


def test_a_head_that_never_ends_is_not_read(target: TargetServer) -> None:
    client = RawClient(target.port, target.headers("viewer"))
    try:
        answer = client.ask("/api/v1/runs", headers={f"X-{number}": "x" * 1000 for number in range(500)})
        assert 400 <= answer.status < 500
    except ConnectionError:
        pass  # closed before all of it was read
    finally:
        client.close()
