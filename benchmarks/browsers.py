"""Sessions over HTTP that ask what a browser asks, in one process: what Chromium was seen to request of the main display, in its order.

    open      sign in, page, layout, all callbacks, graph, images, thumbnails, film of parameters, and as for an image that is chosen
    choose    picture, stream of predictions, manifest of the film and its chunks, one callback (classes)
    scrub     nothing while the hand moves; two callbacks (details, unit) when it rests

Each session has six connections, cookies, what it has kept (scripts and chunks are not asked for twice) and an address of its own,
as a proxy names it. The HTTP client is a bare one, so that the measuring costs little of the machine that is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlencode, urlsplit

CONNECTIONS, CHUNKS_AT_ONCE = 6, 3
THUMBNAILS = 24
SCRUBS_AN_IMAGE = 4
DRAG_S = (1.0, 3.0)
"""How long a hand moves the slider, at least and at most."""
_GIVE_UP_AFTER_S = 60.0
_OPEN_AT_ONCE = 4
_UNIT_KEYS = ("layer", "unit", "parameter", "mode", "symmetric")
_CALLBACKS = "/_dash-update-component"


@dataclass(frozen=True)
class Sample:
    """One request that was answered."""

    kind: str
    began_s: float
    """On the clock that all processes of the machine share."""
    seconds: float
    """From sending it to its last byte."""
    cached: bool
    """What it asks for was computed before, for whomever."""


@dataclass
class Record:
    """What all sessions have seen."""

    samples: list[Sample] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    computed: set[str] = field(default_factory=set)
    late_s: list[float] = field(default_factory=list)
    """How much later than asked for this process woke up, again and again: what its own load adds to what it measures."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    lines: list[dict[str, Any]]


class Client:
    """The connections of one browser."""

    def __init__(self, address: str, record: Record, forwarded_for: str = "") -> None:
        self._place = urlsplit(address)
        self._record = record
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(CONNECTIONS)
        self.cookies: dict[str, str] = {}
        self._headers = {
            "Host": self._place.netloc,
            "User-Agent": "a browser's worth",
            "Sec-Fetch-Site": "same-origin",
            **({"X-Forwarded-For": forwarded_for} if forwarded_for else {}),
        }

    async def ask(
        self,
        kind: str,
        path: str,
        body: bytes | None = None,
        *,
        of: str | None = None,
        on_line: Callable[[dict[str, Any]], None] | None = None,
        expected: Iterable[int] = (200,),
        **headers: str,
    ) -> Answer:
        """GET, or POST where there is a body. ``of``: what the answer is made of; what was made before is cached. ``on_line``
        hears each line of NDJSON as it comes. Another status than expected, or no answer, is an error that is recorded and raised.
        """
        async with self._room:
            known, began = of is None or of in self._record.computed, time.monotonic()
            try:
                async with asyncio.timeout(_GIVE_UP_AFTER_S):
                    answer = await self._exchange(path, body, headers, on_line)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                self._record.errors.append(f"{kind} {path}: {error or type(error).__name__}")
                raise Failed from error
            seconds = time.monotonic() - began
        if answer.status not in expected:
            self._record.errors.append(f"{kind} {path}: {answer.status} {answer.body[:200]!r}")
            raise Failed
        if on_line is not None and not (answer.lines and "done" in answer.lines[-1]):
            self._record.errors.append(f"{kind} {path}: ended with {answer.lines[-1:]}")
            raise Failed
        self._record.samples.append(Sample(kind, began, seconds, known))
        if of is not None:
            self._record.computed.add(of)
        return answer

    async def _exchange(
        self, path: str, body: bytes | None, headers: dict[str, str], on_line: Callable[[dict[str, Any]], None] | None
    ) -> Answer:
        """On an idle connection or a new one; once more where the server had closed the idle one meanwhile."""
        while self._idle:
            try:
                return await self._exchange_on(self._idle.pop(), path, body, headers, on_line)
            except _ClosedWhileIdle:
                continue
        opened = await asyncio.open_connection(self._place.hostname, self._place.port)
        return await self._exchange_on(opened, path, body, headers, on_line)

    async def _exchange_on(
        self,
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        on_line: Callable[[dict[str, Any]], None] | None,
    ) -> Answer:
        reader, writer = connection
        sent = dict(self._headers)
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            sent |= {"Content-Length": str(len(body)), "Origin": f"http://{self._place.netloc}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        method = "GET" if body is None else "POST"
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        kept = False
        try:
            try:
                writer.write(head.encode() + b"\r\n" + (body or b""))
                received = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if isinstance(error, asyncio.IncompleteReadError) and error.partial:
                    raise
                raise _ClosedWhileIdle from error
            answer = Answer(int(received[0].split(" ")[1]), {}, b"", [])
            for line in filter(None, received[1:]):
                name, _, value = line.partition(": ")
                if name.lower() == "set-cookie":
                    cookie, _, content = value.partition(";")[0].partition("=")
                    self.cookies[cookie] = content
                answer.headers[name.lower()] = value
            answer.body = await self._body(reader, answer, on_line)
            kept = answer.headers.get("connection", "").lower() != "close"
            return answer
        finally:
            if kept:
                self._idle.append(connection)
            else:
                writer.close()

    @staticmethod
    async def _body(
        reader: asyncio.StreamReader, answer: Answer, on_line: Callable[[dict[str, Any]], None] | None
    ) -> bytes:
        if answer.status in (204, 304):
            return b""
        if "chunked" not in answer.headers.get("transfer-encoding", ""):
            return await reader.readexactly(int(answer.headers["content-length"]))
        body, told = bytearray(), 0
        while length := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(length + 2))[:-2]
            while on_line is not None and answer.status == 200 and (end := body.find(b"\n", told)) >= 0:
                answer.lines.append(json.loads(body[told:end]))
                told = end + 1
                on_line(answer.lines[-1])
        await reader.readuntil(b"\r\n")
        return bytes(body)

    def close(self) -> None:
        for _reader, writer in self._idle:
            writer.close()


class Failed(Exception):
    """A request that was recorded as an error."""


class _ClosedWhileIdle(Exception):
    """Nothing of an answer came."""


class Session:
    """One browser with the main display open."""

    def __init__(self, address: str, name: str, password: str, number: int, record: Record) -> None:
        self._client = Client(address, record, f"10.20.{number // 250}.{number % 250 + 1}")
        self._name, self._password = name, password
        self._random = random.Random(number)
        self._record = record
        self._kept: set[str] = set()
        self._subject: dict[str, Any] = {}
        self._view: dict[str, Any] = {}
        self._inputs: dict[str, list[tuple[str, str]]] = {}
        self._step = 0
        self._images: list[str] = []

    async def open(self, layer: str) -> None:
        """Sign in and wait until all is there."""
        from mloscope.app.web.dash.page import view_schema
        from mloscope.app.web.dash.pages import OURS

        ask = self._client.ask
        form = (await ask("page", "/login")).body.decode()
        token = re.search(r'name="token" value="([\w-]+)"', form)
        assert token, form
        fields = urlencode({"token": token[1], "next": "/", "name": self._name, "password": self._password})
        sent = {"content_type": "application/x-www-form-urlencoded"}
        await ask("sign-in", "/login", fields.encode(), expected=(303,), **sent)
        page = (await ask("page", "/")).body.decode()
        files = [found for found in re.findall(r'(?:src|href)="(/[^"]+)"', page) if found != "/"]
        files += [
            "/_dash-component-suites/dash/dcc/async-graph.js",
            "/_dash-component-suites/plotly/package_data/plotly.min.js",
        ]
        await _together(ask("asset", file) for file in files)
        await _together(ask("page", path) for path in ("/_dash-layout", "/_favicon.ico"))
        for callback in json.loads((await ask("page", "/_dash-dependencies")).body):
            self._inputs[callback["output"]] = [(one["id"], one["property"]) for one in callback["inputs"]]
        said, _page = await asyncio.gather(
            self._callback("subject", "subject.data"),
            self._callback("page", ".._pages_content.children..._pages_store.data.."),
        )
        self._subject = said["subject"]["data"]
        self._view = {field["key"]: field["default"] for field in view_schema(OURS).as_json() if field["key"] != "step"}
        images = (await ask("images", "/api/v1/corpora/images/images?split=test&limit=1000")).body
        self._images = [image["id"] for image in json.loads(images)["images"]]
        self._random.shuffle(self._images)
        self._view |= {"layer": layer, "image": self._images[-1], "mode": "both"}
        self._step = self._subject["checkpoints"][-1]["step"]
        await _together(
            (
                ask("graph", "/api/v1/runs/lenet/graph.svg"),
                ask("images", "/api/v1/corpora/images"),
                ask("images", "/api/v1/corpora/images/images?offset=0&limit=60"),
                *self._thumbnails(0),
                self._film("parameters"),
                self._choose(self._view["image"]),
                *self._settled(),
                self._callback("course", "unit-course.figure", layer),
                self._callback("training", "..training-course.figure...training-problems.children...training.hidden.."),
            )
        )

    async def scrub(self, rest_s: tuple[float, float], ends_s: float) -> None:
        """One image after the other, a few drags over each; ``rest_s``: how long one looks at what one sees. Ends at
        ``ends_s`` of the monotonic clock."""
        for turn, image in enumerate(self._images):
            with_failures = [self._choose(image)]
            if turn % 5 == 4:
                with_failures += self._thumbnails(self._random.randrange(0, len(self._images) - THUMBNAILS))
            await _together(with_failures)
            for _ in range(SCRUBS_AN_IMAGE):
                await asyncio.sleep(self._random.uniform(*DRAG_S) + self._random.uniform(*rest_s))
                if time.monotonic() >= ends_s:
                    return
                self._step = self._random.choice(self._subject["checkpoints"])["step"]
                await _together(self._settled())

    def close(self) -> None:
        self._client.close()

    # ---- what is asked together

    def _settled(self) -> list[Awaitable[Any]]:
        moment = f"{self._view['layer']} {self._step}"
        return [
            self._callback("details", "layer-details.children", moment),
            self._callback("unit", "unit-heat-map.figure", moment),
        ]

    async def _choose(self, image: str) -> None:
        self._view["image"] = image

        async def classes() -> None:
            await asyncio.sleep(0.06)
            await self._callback("classes", "prediction-course.figure", image)

        await _together(
            (
                self._once("picture", f"/api/v1/corpora/images/images/{image}.png?edge=192"),
                self._predictions(image),
                self._film("features", image),
                classes(),
            )
        )

    def _thumbnails(self, first: int) -> list[Awaitable[Any]]:
        """Those of a screen of the image list."""
        return [
            self._once("thumbnail", f"/api/v1/corpora/images/images/test-{number}.png?edge=64")
            for number in range(first, first + THUMBNAILS)
        ]

    async def _once(self, kind: str, path: str) -> None:
        if path not in self._kept:
            self._kept.add(path)
            await self._client.ask(kind, path, of=path)

    async def _predictions(self, image: str) -> None:
        path = f"/api/v1/runs/lenet/predictions/{image}?corpus=images&stream=true"
        await self._client.ask("predictions", f"{path}&near={self._step}", of=path, on_line=lambda _line: None)

    async def _film(self, show: str, image: str = "") -> None:
        """The manifest, and its chunks as it names them."""
        chosen = f"&image={image}&corpus=images" if image else ""
        path = f"/api/v1/runs/lenet/layers/{self._view['layer']}/film?show={show}{chosen}"
        at_once = asyncio.Semaphore(CHUNKS_AT_ONCE)
        async with _all_done() as begin:

            async def fetch(address: str) -> None:
                async with at_once:
                    await self._once("chunk", address)

            def read(line: dict[str, Any]) -> None:
                if "chunk" in line:
                    self._record.computed.add(line["chunk"]["address"])
                    begin(fetch(line["chunk"]["address"]))
                elif "missing" in line:
                    self._record.errors.append(f"film {path}: {line}")

            await self._client.ask(f"film of {show}", f"{path}&near={self._step}", of=path, on_line=read)

    # ---- callbacks

    async def _callback(self, kind: str, output: str, of: str | None = None) -> dict[str, Any]:
        """What Dash's script sends for an output, and the answer's ``response``."""
        values = {
            ("subject", "data"): self._subject or None,
            ("view", "data"): self._view or None,
            ("unit-view", "data"): {key: self._view.get(key) for key in _UNIT_KEYS} | {"image": ""}
            if self._view
            else None,
            ("image-view", "data"): {"image": self._view["image"]} if self._view else None,
            ("settled-time", "data"): {"step": self._step, "index": self._step},
            ("theme", "data"): "light",
            ("_pages_location", "pathname"): "/",
            ("_pages_location", "search"): "",
        }
        several = output.startswith("..")
        outputs = [
            dict(zip(("id", "property"), one.rsplit(".", 1), strict=True)) for one in output.strip(".").split("...")
        ]
        body = {
            "output": output,
            "outputs": outputs if several else outputs[0],
            "inputs": [{"id": i, "property": p, "value": values.get((i, p))} for i, p in self._inputs[output]],
            "changedPropIds": [".".join(self._inputs[output][-1])],
            "parsedChangedPropsIds": [".".join(self._inputs[output][-1])],
        }
        answer = await self._client.ask(
            f"callback {kind}", _CALLBACKS, json.dumps(body, separators=(",", ":")).encode(),
            of=f"{output} {of}" if of else None,
            content_type="application/json", X_CSRFToken=self._client.cookies.get("_csrf_token", ""),
        )  # fmt: skip
        # Of a run without records nothing can be drawn; elsewhere a sentence in a figure's place is a fault.
        if kind != "training" and (b"warning-text" in answer.body or b'"showarrow"' in answer.body):
            self._record.errors.append(f"callback {kind}: {answer.body[:300]!r}")
        return json.loads(answer.body)["response"]


async def _together(asked: Iterable[Awaitable[Any]]) -> None:
    """All at the same time; what failed is recorded already."""
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(answer, BaseException) and not isinstance(answer, Failed):
            raise answer


@asynccontextmanager
async def _all_done() -> AsyncIterator[Callable[[Any], None]]:
    """``begin(coroutine)`` starts it; the ``with`` ends when all have ended."""
    begun: list[asyncio.Task[Any]] = []
    yield lambda coroutine: begun.append(asyncio.ensure_future(coroutine))
    await _together(begun)


def drive(
    pipe: Connection, address: str, passwords: dict[str, str], layers: tuple[str, ...], rest_s: tuple[float, float]
) -> None:
    """A process's body: opens a session for each user, says so, is told until when to scrub, and sends back what was seen."""

    record = Record()

    async def sessions() -> None:
        opened = []
        at_once = asyncio.Semaphore(_OPEN_AT_ONCE)

        async def open_one(number: int, name: str, password: str) -> None:
            async with at_once:
                session = Session(address, name, password, number, record)
                await session.open(layers[number % len(layers)])
                opened.append(session)

        await asyncio.gather(*(open_one(number, *user) for number, user in enumerate(passwords.items())))
        pipe.send(len(opened))
        ends_s = await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        watch = asyncio.ensure_future(_watch_the_clock(record))
        # Not all at the same moment.
        await asyncio.gather(
            *(
                _later(number * rest_s[1] / len(opened), session.scrub(rest_s, ends_s))
                for number, session in enumerate(opened)
            )
        )
        watch.cancel()
        for session in opened:
            session.close()

    with contextlib.suppress(Failed):  # a session that does not open is recorded
        asyncio.run(sessions())
    pipe.send(
        {
            "samples": [asdict(sample) for sample in record.samples],
            "errors": record.errors,
            "late_s": record.late_s,
        }
    )


async def _watch_the_clock(record: Record) -> None:
    while True:
        asked_s = time.monotonic() + 0.05
        await asyncio.sleep(0.05)
        record.late_s.append(time.monotonic() - asked_s)


async def _later(seconds: float, then: Awaitable[None]) -> None:
    await asyncio.sleep(seconds)
    await then
