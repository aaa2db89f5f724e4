"""The whole web process behind its access gate, asked without a network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mloscope.app.accounts.users import UserFile
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.process.settings import Settings
from mloscope.app.web.access.allowances import EvaluationCharge
from mloscope.app.web.access.prometheus import Metrics
from mloscope.app.web.server import create_guarded_app
from mloscope.app.web.services import Services

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported by path, their neighbours are not

HOME = "http://127.0.0.1:8050"
PASSWORD = "correct horse"
ACTION = "/api/v1/runs/lenet/statistics/job"
"""Something that only an editor may do."""


@dataclass
class House:
    """An application behind its access gate, and who lives there."""

    application: Any
    users: UserFile
    bench: Any
    metrics: Metrics
    services: Services
    clients: ExitStack

    def visitor(self, address: str = "127.0.0.1", home: str = HOME, **headers: str) -> TestClient:
        """A browser or program at an address; it follows no redirects and keeps its cookies."""
        client = TestClient(
            self.application, home, client=(address, 50000), follow_redirects=False, raise_server_exceptions=False
        )
        client.headers.update(headers)
        return self.clients.enter_context(client)

    def signed_in(self, name: str = "anna", **arguments: Any) -> TestClient:
        client = self.visitor(**arguments)
        answer = sign_in(client, name)
        assert answer.status_code == 303, answer.text
        return client

    def with_token(self, role: str = "editor") -> TestClient:
        return self.visitor(authorization=f"Bearer {self.users.add_token(f'of {role}'.replace(' ', '-'), role)}")


def form_token(page: str) -> str:
    found = re.search(r'name="token" value="([\w-]+)"', page)
    assert found, page
    return found[1]


def sign_in(client: TestClient, name: str, password: str = PASSWORD, wanted: str = "/", **headers: str) -> Any:
    """Fill in the form as a browser does."""
    token = form_token(client.get("/login").text)
    fields = {"name": name, "password": password, "next": wanted, "token": token}
    return client.post("/login", data=fields, headers={"origin": str(client.base_url).rstrip("/"), **headers})


@pytest.fixture(scope="session")
def residents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A users file with anna, an editor, and vera, a viewer; to be copied. Their hashes are quick ones, made by hand."""
    users = UserFile(tmp_path_factory.mktemp("users") / "users.json")
    users.put_user("anna", None, "editor")
    users.put_user("vera", None, "viewer")
    contents = json.loads(users.path.read_text())
    for name, user in contents["users"].items():
        salt = name.encode()
        hashed = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=16, r=1, p=1, dklen=32)
        user["password"] = ":".join(("scrypt:16:1:1", *(base64.b64encode(part).decode() for part in (salt, hashed))))
    path = users.path.with_name("residents.json")
    path.write_text(json.dumps(contents))
    return path


@pytest.fixture
def house(make_bench: Callable[..., Any], residents: Path, tmp_path: Path) -> Iterator[Callable[..., House]]:
    """``house(people=True, bench=None, recent_warnings=tuple, **settings)``: with anna and vera, or with nobody."""
    with ExitStack() as clients:

        def build(
            people: bool = True, bench: Any = None, recent_warnings: Callable[[], Any] = tuple, **settings: Any
        ) -> House:
            chosen = replace(Settings(users_file=str(tmp_path / "users.json")), **settings)
            if people:
                shutil.copy(residents, str(chosen.users_file))
            bench = bench or make_bench()
            cache = ResultCache(bench.store)
            metrics = Metrics(lambda: services.vitals(), lambda: cache.counts)
            services = Services.of(
                bench.services.workspace,
                cache,
                bench.service,
                charge=EvaluationCharge(chosen.evaluations_a_minute, metrics.evaluated),
            )
            application = create_guarded_app(services, chosen, metrics, recent_warnings)
            return House(application, UserFile(Path(str(chosen.users_file))), bench, metrics, services, clients)

        yield build


@pytest.fixture
def street() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def browse(open_page: Callable[..., Any], street: ExitStack) -> Callable[..., Any]:
    """``browse(scheme)``: an empty page; its complaints are in ``page.problems``, what it asks for in ``page.asked``."""

    def build(scheme: str = "light") -> Any:
        page = open_page(**({} if scheme == "light" else {"color_scheme": scheme}))
        page.set_default_timeout(60_000)
        page.problems, page.asked = [], []
        listeners = {
            "request": lambda request: page.asked.append(request.url),
            "pageerror": lambda error: page.problems.append(f"page: {error}"),
            "console": lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None,
        }
        for event, listener in listeners.items():
            page.on(event, listener)
            street.callback(page.remove_listener, event, listener)
        street.callback(page.goto, "about:blank")  # before its server goes
        return page

    return build
