"""deploy/nginx.conf for real: nginx as an ordinary process with a certificate of our own, ``mloscope serve`` behind it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import h5py
import numpy as np
import pytest
import urllib3

from mloscope.app.model_service.wire import Evaluation, pack_evaluation, unpack

ROOT = Path(__file__).resolve().parents[2]
NAME, PASSWORD = "scope.lab.org", "a long enough sentence"
PROXY, VISITOR, LIAR = "127.0.0.1", "127.0.0.5", "203.0.113.9"
PATIENCE_S = 30.0
BODY_LIMIT_BYTES = 1 << 20
USER_HEADER = "X-Forwarded-User"
MISSING = [name for name in ("nginx", "openssl") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not on the PATH (apt: {' '.join(MISSING)})"),
    pytest.mark.skipif(
        sys.platform != "linux", reason="visitors have addresses of their own in 127.0.0.0/8 on Linux only"
    ),
]


# ------------------------------------------------------------------------------------------------- what is started


class HeldService(ThreadingHTTPServer):
    """A model service of zeros. Of what is asked while it is held, it answers the first question, and the others when let go."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((PROXY, 0), _HeldAnswers)
        self.let_go = threading.Event()
        self.let_go.set()
        self._first = threading.Lock()

    def hold(self) -> None:
        self.let_go.clear()
        self._first = threading.Lock()

    def wait_unless_first(self) -> None:
        if not self._first.acquire(blocking=False):
            self.let_go.wait(PATIENCE_S)


class _HeldAnswers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HeldService

    def do_GET(self) -> None:
        self._answer(json.dumps({"state": "ready", "problem": None}).encode())

    def do_POST(self) -> None:
        head, _image = unpack(self.rfile.read(int(self.headers["content-length"])))
        self.server.wait_unless_first()
        arrays = {layer: np.zeros((len(head["steps"]), 8, 8, 4), np.float32) for layer in head["layers"]}
        self._answer(pack_evaluation(Evaluation(arrays, head["steps"], {})))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


@dataclass
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes


@dataclass
class Visitor:
    """Somebody at :data:`VISITOR`, with cookies, who asks the server of that port."""

    port: int
    certificate: Path
    tls: bool = True
    cookies: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        address = {"host": PROXY, "port": self.port, "source_address": (VISITOR, 0), "timeout": PATIENCE_S}
        self._pool = (
            urllib3.HTTPSConnectionPool(
                **address, ca_certs=self.certificate, server_hostname=NAME, assert_hostname=NAME
            )
            if self.tls
            else urllib3.HTTPConnectionPool(**address)
        )
        self.origin = f"https://{NAME}:{self.port}"

    def open(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Any:
        sent = {"host": f"{NAME}:{self.port}", "cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        found = self._pool.urlopen(
            method, path, body=body, headers={name: value for name, value in sent.items() if value},
            redirect=False, retries=False, preload_content=False,
        )  # fmt: skip
        for line in found.headers.getlist("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return found

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        found = self.open(path, method, body, **headers)
        whole = Answer(found.status, found.headers, found.read(decode_content=True))
        found.release_conn()
        return whole

    def sign_in(self) -> Answer:
        token = re.search(r'name="token" value="([^"]+)"', self.ask("/login").body.decode())
        assert token
        form = urlencode({"name": "anna", "password": PASSWORD, "token": token[1], "next": "/"})
        return self.ask(
            "/login", "POST", form.encode(), origin=self.origin, content_type="application/x-www-form-urlencoded"
        )


@dataclass
class Site:
    """nginx twice, the second time with nginx asking who comes, and what is behind both."""

    https: int
    http: int
    asking: int
    behind: int
    certificate: Path
    log: Path
    service: HeldService

    def visitor(self, port: int | None = None, tls: bool = True) -> Visitor:
        return Visitor(port or self.https, self.certificate, tls)

    def logged(self, number: str) -> dict[str, Any]:
        """What the web process logged of the request with this number."""
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            for line in self.log.read_text().splitlines():
                if number in line and line.startswith("{") and "address" in (said := json.loads(line)):
                    return said
            time.sleep(0.02)
        raise AssertionError(f"nothing was logged of {number}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((PROXY, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def make_certificate(folder: Path) -> Path:
    """``scope.pem`` and ``scope.key``."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", "scope.key", "-out", "scope.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "scope.pem"


def make_run(folder: Path, steps: int = 40) -> Path:
    """A convolution at so many steps, its weights without a network file's weight."""
    folder.mkdir()
    layers = [
        ("InputLayer", {"batch_shape": [None, 8, 8, 1], "name": "image"}),
        ("Conv2D", {"name": "conv", "filters": 4, "kernel_size": [3, 3], "padding": "same", "use_bias": False}),
    ]
    config = {"name": "small", "layers": [{"class_name": kind, "config": said} for kind, said in layers]}
    (folder / "model.json").write_text(json.dumps({"class_name": "Sequential", "config": config}))
    for step in range(steps):
        with h5py.File(folder / f"step_{step:04d}.weights.h5", "w") as file:
            variables = file.create_group("layers/conv2d/vars")
            variables.attrs["name"] = "conv"
            variables["0"] = np.full((3, 3, 1, 4), step, np.float32)
    return folder


def example(changes: dict[str, str]) -> str:
    """deploy/nginx.conf with what everybody has to put in, and with other ports."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for before, after in changes.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@contextmanager
def nginx(folder: Path, site: str) -> Iterator[None]:
    folder.mkdir()
    (folder / "site.conf").write_text(site)
    temporary = "".join(f"{kind}_temp_path {kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"{'user root; ' if os.getuid() == 0 else ''}daemon off; worker_processes 1; pid nginx.pid; error_log error.log;\n"
        f"events {{ worker_connections 64; }}\nhttp {{ access_log off; {temporary} include site.conf; }}\n"
    )
    process = subprocess.Popen(
        ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"], stderr=subprocess.DEVNULL
    )
    try:
        port = int(re.search(r"listen 127\.0\.0\.1:(\d+) ssl", site)[1])  # type: ignore[index]
        ends = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection((PROXY, port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < ends, "nginx did not come up"
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(15)


@contextmanager
def served(folder: Path, service: HeldService) -> Iterator[int]:
    """``mloscope serve`` behind a proxy, and its port."""
    users = folder / "users.json"
    environment = {
        **os.environ,
        "MLOSCOPE_ALLOWED_HOSTS": NAME,
        "MLOSCOPE_TRUSTED_PROXIES": PROXY,
        "MLOSCOPE_PROXY_USER_HEADER": USER_HEADER,
        "MLOSCOPE_USERS_FILE": str(users),
        "MLOSCOPE_BODY_LIMIT_BYTES": str(BODY_LIMIT_BYTES),
        "MLOSCOPE_MODEL_SERVICE_URL": f"http://{PROXY}:{service.server_address[1]}",
        "MLOSCOPE_MODEL_SERVICE_TOKEN": "a secret",
        "MLOSCOPE_CACHE_FOLDER": str(folder / "cache"),
        "MLOSCOPE_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "mloscope.app.commands.cli"]
    subprocess.run(
        [*command, "user", "add", "anna", "--role", "editor", "--password-stdin"],
        input=PASSWORD, text=True, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    np.savez(folder / "noise.npz", x_test=np.zeros((2, 8, 8, 1), np.uint8), y_test=np.zeros(2, np.int64))
    run = make_run(folder / "run")
    with (folder / "web.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "serve", str(run), "--images", str(folder / "noise.npz"), "--port=0", "--no-browser"],
            stdout=subprocess.PIPE, stderr=log, text=True, env=environment,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            found = next(
                filter(None, (re.search(r"listens on http://\S+:(\d+)", line) for line in process.stdout)), None
            )
            assert found, (folder / "web.log").read_text()
            yield int(found[1])
        finally:
            process.terminate()
            process.wait(15)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    certificate = make_certificate(folder)
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True
    ).stdout.strip()
    (folder / "htpasswd").write_text(f"carl:{hashed}\n")
    service = HeldService()
    threading.Thread(target=service.serve_forever, daemon=True).start()
    http, https, asking_http, asking = free_ports(4)
    try:
        with served(folder, service) as behind:
            ours = {
                "server 127.0.0.1:8050;": f"server 127.0.0.1:{behind};",
                "/etc/ssl/scope.pem": str(certificate),
                "/etc/ssl/scope.key": str(folder / "scope.key"),
            }
            first = {"listen 80;": f"listen 127.0.0.1:{http};", "listen 443 ": f"listen 127.0.0.1:{https} "}
            second = {
                "listen 80;": f"listen 127.0.0.1:{asking_http};",
                "listen 443 ": f"listen 127.0.0.1:{asking} ",
                'X-Forwarded-User "";': "X-Forwarded-User $remote_user;",
                "    location / {\n": "    location / {\n"
                f'        auth_basic "ML-o-scope";\n        auth_basic_user_file {folder}/htpasswd;\n',
            }
            with (
                nginx(folder / "nginx", example(ours | first)),
                nginx(folder / "asking", example(ours | second)),
            ):
                yield Site(https, http, asking, behind, certificate, folder / "web.log", service)
    finally:
        service.let_go.set()
        service.shutdown()
        service.server_close()


@pytest.fixture(scope="module")
def cookies(site: Site) -> dict[str, str]:
    """Anna's, signed in."""
    visitor = site.visitor()
    assert visitor.sign_in().status == 303
    return visitor.cookies


@pytest.fixture
def anna(site: Site, cookies: dict[str, str]) -> Visitor:
    return Visitor(site.https, site.certificate, cookies=dict(cookies))


# ----------------------------------------------------------------------------------------------------------- tests


def test_one_signs_in_over_tls_with_a_cookie_that_stays_there(site: Site) -> None:
    visitor = site.visitor()
    assert visitor.ask("/api/v1/runs").status == 401
    signed_in = visitor.sign_in()
    assert (signed_in.status, signed_in.headers["location"]) == (303, "/")
    (cookie,) = signed_in.headers.getlist("set-cookie")
    assert cookie.startswith("mloscope_session_")
    attributes = {word.strip().lower() for word in cookie.split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax"} <= attributes
    runs = visitor.ask("/api/v1/runs")
    assert runs.status == 200
    assert [run["name"] for run in json.loads(runs.body)["runs"]] == ["run"]


def test_forms_and_scripts_of_the_site_are_known_as_its_own_and_others_are_not(anna: Visitor) -> None:
    path = "/api/v1/runs/run/statistics/job"
    body = json.dumps({"action": "pause", "corpus": "noise", "split": "test"}).encode()
    json_of_ours = {"content_type": "application/json", "x_mloscope": "1"}
    assert anna.ask(path, "POST", body, origin="https://evil.example", **json_of_ours).status == 403
    assert anna.ask(path, "POST", body, origin=f"http://{NAME}", **json_of_ours).status == 403
    assert anna.ask(path, "POST", body, origin=anna.origin, **json_of_ours).status == 409  # nothing to pause


def test_the_log_has_the_visitor_s_address_whatever_they_say(site: Site, anna: Visitor) -> None:
    for number, lies in (("honest-visitor", {}), ("lying-visitor", {"x_forwarded_for": LIAR, "x_real_ip": LIAR})):
        assert anna.ask("/api/v1/runs", x_request_id=number, **lies).status == 200
        said = site.logged(number)
        assert (said["address"], said["user"], said["status"]) == (VISITOR, "anna", 200)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_film_goes_through_line_by_line(site: Site, anna: Visitor, encoding: str) -> None:
    corpus = json.loads(anna.ask("/api/v1/corpora/noise/images?limit=2").body)["images"]
    image = corpus[encoding == "gzip"]["id"]
    site.service.hold()
    held = True
    lines: list[dict[str, Any]] = []
    try:
        stream = anna.open(
            f"/api/v1/runs/run/layers/conv/film?show=features&corpus=noise&image={image}", accept_encoding=encoding
        )
        assert stream.status == 200
        assert stream.headers.get("content-encoding") == ("gzip" if encoding == "gzip" else None)
        text = b""
        for piece in stream.stream(1, decode_content=True):
            text += piece
            *whole, text = text.split(b"\n")
            lines += map(json.loads, whole)
            if not site.service.let_go.is_set() and any("chunk" in line for line in lines):
                # The first chunk is here, and the model service still holds back what the others are made of.
                assert sum(len(line["chunk"]["steps"]) for line in lines if "chunk" in line) < 40
                site.service.let_go.set()
                held = False
    finally:
        site.service.let_go.set()
    assert not held
    assert "film" in lines[0]
    assert lines[-1] == {"done": True}
    steps = [step for line in lines if "chunk" in line for step in line["chunk"]["steps"]]
    assert sorted(steps) == list(range(40))


def test_a_piece_of_a_film_is_compressed_and_known_again(site: Site, anna: Visitor) -> None:
    film = anna.ask("/api/v1/runs/run/layers/conv/film")
    chunks = [line["chunk"] for line in map(json.loads, film.body.splitlines()) if "chunk" in line]
    address = max(chunks, key=lambda chunk: chunk["bytes"])["address"]
    whole = anna.ask(address, accept_encoding="gzip")
    assert (whole.status, whole.headers["content-encoding"]) == (200, "gzip")
    assert whole.body.startswith(b"MLF1")
    assert "accept-encoding" in whole.headers["vary"].lower()
    again = anna.ask(address, accept_encoding="gzip", if_none_match=whole.headers["etag"])
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/api/openapi.json", "/assets/films/canvas.mjs", "/assets/theme.css", "/"])
def test_what_is_text_is_compressed(anna: Visitor, path: str) -> None:
    answer = anna.ask(path, accept_encoding="gzip")
    assert (answer.status, answer.headers.get("content-encoding")) == (200, "gzip")


def test_browsers_are_told_to_stay_with_tls(site: Site, anna: Visitor) -> None:
    for answer in (anna.ask("/"), site.visitor().ask("/api/v1/runs"), site.visitor().ask("/login")):
        assert answer.headers.getlist("strict-transport-security") == ["max-age=31536000"]
        assert answer.headers["server"] == "nginx"
    context = ssl.create_default_context(cafile=str(site.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((PROXY, site.https), PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"
        assert secure.version() == "TLSv1.3"


def test_plain_http_leads_to_https_of_our_own_name(site: Site) -> None:
    for host in (NAME, "evil.example"):
        answer = site.visitor(site.http, tls=False).ask("/clusters?run=run", host=host)
        assert (answer.status, answer.headers["location"]) == (301, f"https://{NAME}/clusters?run=run")


def test_other_names_are_refused_by_nginx_and_by_us(site: Site) -> None:
    assert site.visitor().ask("/login", host="evil.example").status == 421
    past_nginx = site.visitor(site.behind, tls=False).ask("/login", host="evil.example")
    assert past_nginx.status == 400
    assert "evil.example" in past_nginx.body.decode()


def test_what_is_too_large_is_refused_by_nginx_and_by_us(anna: Visitor) -> None:
    path = "/api/v1/runs/run/statistics/job"
    by_nginx = anna.ask(path, "POST", b"", origin=anna.origin, x_mloscope="1", content_length=str(17 << 20))
    assert (by_nginx.status, by_nginx.headers["content-type"]) == (413, "text/html")
    anna = Visitor(anna.port, anna.certificate, cookies=anna.cookies)  # that connection is over
    by_us = anna.ask(path, "POST", bytes(BODY_LIMIT_BYTES + 1), origin=anna.origin, x_mloscope="1")
    assert by_us.status == 413
    assert f"{BODY_LIMIT_BYTES:,} bytes" in json.loads(by_us.body)["error"]["message"]


def test_who_came_is_what_nginx_says_and_never_what_the_visitor_says(site: Site) -> None:
    claiming = {"x_forwarded_user": "anna"}
    assert site.visitor().ask("/api/v1/runs", **claiming).status == 401
    assert site.visitor(site.behind, tls=False).ask("/api/v1/runs", **claiming).status == 401
    asked = site.visitor(site.asking)
    assert asked.ask("/api/v1/runs", **claiming).status == 401
    carl = urllib3.make_headers(basic_auth=f"carl:{PASSWORD}")
    assert asked.ask("/api/v1/runs", x_request_id="carl-as-anna", **carl, **claiming).status == 200
    assert site.logged("carl-as-anna")["user"] == "carl"
    # Nobody gave Carl a role, so he is a viewer, and editors are only those of the users' file.
    job = json.dumps({"action": "pause", "corpus": "noise", "split": "test"}).encode()
    refused = asked.ask(
        "/api/v1/runs/run/statistics/job", "POST", job, origin=asked.origin, x_mloscope="1", **carl, **claiming
    )
    assert refused.status == 403
