"""Asks the model service. Imports no network backend; every method may be called from several threads at once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

import numpy as np
import urllib3

from mloscope.app import errors
from mloscope.app.model_service.pictures.picture import Asked
from mloscope.app.model_service.service_addresses import Address, ServiceAddresses
from mloscope.app.model_service.wire import (
    CONTENT_TYPE,
    STARTING_HEADER,
    TOKEN_HEADER,
    TOKEN_VARIABLE,
    Evaluation,
    Pictures,
    RunSpec,
    pack,
    unpack_evaluation,
    unpack_pictures,
)
from mloscope.app.process.request_context import REQUEST_ID, REQUEST_ID_HEADER

__all__ = ["Asked", "Evaluation", "ModelServiceClient", "Pictures", "RunSpec", "Service"]

_KINDS = {
    each.kind: each
    for each in (errors.BadRequest, errors.NotFound, errors.Conflict, errors.NotPossible, errors.Unavailable)
}
_CONNECT_TIMEOUT_S = 2.0
_NOTICED_WITHIN_S = 1.0
_SILENT_AFTER = 3
"""Looks in a row at which a service did not say that it lives, until what it was asked is asked of another."""
_MAY_STOP = 2
"""So many services may break off in the middle of one question before it is held for the cause."""


class _Silent(Exception):
    """A service that holds its connections and says nothing: it hangs, or the network between us is cut."""


class Service(Protocol):
    """A model service that comes and goes, such as a supervised child. ``ModelServiceProcess`` is one."""

    @property
    def url(self) -> str | None:
        """Where it answers now; None while it does not."""
        ...

    @property
    def token(self) -> str: ...

    @property
    def problem(self) -> str | None:
        """A sentence for the user while :attr:`url` is None."""
        ...

    def wait_for_url(self, timeout_s: float) -> str | None:
        """The address as soon as there is one; None at once where there will not be one, or after the
        timeout."""
        ...


class ModelServiceClient:
    """``evaluate`` and ``describe`` wait, up to ``timeout_s``, for a service that is starting; they fail at
    once for one that cannot start. All raise Unavailable where the service does not answer, and else what the
    service says."""

    def __init__(
        self,
        service: str | Service,
        *,
        timeout_s: float = 120.0,
        token: str | None = None,
        look_every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``service``: the address of one that somebody else runs, e.g. ``http://gpu-host:8060`` (with its
        ``token``, by default from the environment variable MLOSCOPE_MODEL_SERVICE_TOKEN), or of several with
        commas between them; or a supervised one. ``look_every_s``: how often one of the former is asked whether it
        lives while it works on an answer."""
        self._service = ServiceAddresses(service, clock=clock) if isinstance(service, str) else service
        self._token = token if token is not None else os.environ.get(TOKEN_VARIABLE, "").strip()
        self.timeout_s = timeout_s
        self._look_every_s = look_every_s
        self._clock = clock
        # Room for as many connections as a web process has threads; those beyond it would be opened anew for every question.
        self._pool = urllib3.PoolManager(num_pools=4, maxsize=64, retries=False)

    def evaluate(
        self, spec: RunSpec, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Evaluation:
        """What the layers make of the image at each step: layer name -> float32 (step, ...output shape),
        read-only.

        ``image``: float32 (row, column, channel) as the network takes it. ``priority``: 0 before 1 before 2.
        A step that cannot be evaluated does not fail the others: its sentence is in ``.failed``. Raises
        BadRequest (the image does not fit), NotFound (no such layer), NotPossible (this network cannot be
        evaluated), Unavailable."""
        if image.ndim != 3:
            raise errors.BadRequest(f"An image is (row, column, channel); this one has the shape {tuple(image.shape)}.")
        head = {
            "run": spec.to_json(),
            "steps": [int(step) for step in steps],
            "layers": list(layers),
            "priority": priority,
        }
        return unpack_evaluation(self._ask("POST", "/evaluate", pack(head, [image]), CONTENT_TYPE))

    def pictures(
        self,
        spec: RunSpec,
        steps: Sequence[int],
        method: str,
        asked: Asked,
        before: np.ndarray | None = None,
        priority: int = 0,
    ) -> Pictures:
        """What a method of :mod:`mloscope.app.model_service.pictures` makes of the layer at each step, in this order. ``before``: what
        it made of the step before the first. Otherwise as :meth:`evaluate`."""
        arrays = {"image": asked.image, "beside": asked.beside, "before": before}
        given = {name: array for name, array in arrays.items() if array is not None}
        head = {
            "run": spec.to_json(),
            "steps": [int(step) for step in steps],
            "layer": asked.layer,
            "method": method,
            "options": dict(asked.options),
            "priority": priority,
            "arrays_are": list(given),
        }
        return unpack_pictures(self._ask("POST", "/picture", pack(head, list(given.values())), CONTENT_TYPE))

    def describe(self, spec: RunSpec) -> dict[str, Any]:
        """``{"output_layer": name, "layers": {name: shape}, "input_shape": shape}``; shapes without the batch
        axis, None for a length that is not fixed. Raises as :meth:`evaluate`."""
        body = json.dumps({"run": spec.to_json()}).encode()
        return json.loads(self._ask("POST", "/describe", body, "application/json"))

    def status(self, timeout_s: float | None = None) -> dict[str, Any]:
        """What the service says of itself: ``state``, ``problem``, ``device``, ``waiting`` ..."""
        return json.loads(self._ask("GET", "/status", None, None, timeout_s))

    def services(self, timeout_s: float = 1.0) -> list[dict[str, Any]]:
        """Of several services each one's ``address``, ``state`` and what else it says of itself, asked at the same time; empty
        where there is one alone."""
        addresses = self._service.known() if isinstance(self._service, ServiceAddresses) else ()
        if len(addresses) < 2:
            return []

        def ask(address: Address) -> urllib3.BaseHTTPResponse:
            headers = {TOKEN_HEADER: self._token, "host": address.host}
            return self._pool.request("GET", f"{address.url}/status", headers=headers, timeout=timeout_s)

        asked = [(address, _in_a_thread(lambda at=address: ask(at))) for address in addresses]
        deadline = self._clock() + timeout_s
        found = []
        for address, answer in asked:
            said = {"state": "does not answer"}
            with contextlib.suppress(TimeoutError, urllib3.exceptions.HTTPError, ValueError):
                response = answer.result(max(0.01, deadline - self._clock()))
                said = response.json() if response.status == 200 else {"state": f"answers with {response.status}"}
            found.append({**said, "address": address.url})
        return found

    def _ask(
        self, method: str, path: str, body: bytes | None, content_type: str | None, timeout_s: float | None = None
    ) -> bytes:
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        deadline = self._clock() + timeout_s
        headers = {"content-type": content_type} if content_type else {}
        if REQUEST_ID.get():
            headers[REQUEST_ID_HEADER] = REQUEST_ID.get()

        def request(url: str, token: str, **more: str) -> urllib3.BaseHTTPResponse:
            return self._pool.request(
                method,
                url + path,
                body=body,
                headers={**headers, **more, TOKEN_HEADER: token},
                timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=max(0.01, deadline - self._clock())),
            )

        try:
            if isinstance(self._service, ServiceAddresses):
                answer = self._ask_one_of_several(self._service, request, body)
            else:
                answer = self._ask_supervised(self._service, request, deadline)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise errors.Unavailable(
                f"The model service did not answer within {timeout_s:g} seconds; ask again."
            ) from error
        if answer.status == 200:
            return answer.data
        raise _error_of(answer.status, answer.data)

    def _ask_one_of_several(
        self, services: ServiceAddresses, request: Callable[..., urllib3.BaseHTTPResponse], body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        """The first answer: one that cannot be reached, or breaks off, is left out and another is asked, each once. One that
        is starting is waited for only where all others are away.

        Every question may be asked twice, for answering changes nothing."""
        key = hashlib.blake2b(body or b"", digest_size=8).hexdigest()
        tried: set[str] = set()
        starting: set[str] = set()
        stopped: list[Exception] = []
        how = {STARTING_HEADER: "refuse"}
        while True:
            with services.lent(key, tried) as address:
                if len(stopped) == _MAY_STOP or (address is None and stopped):
                    raise errors.Unavailable(
                        "The model service stopped in the middle of this; ask again."
                    ) from stopped[-1]
                if address is None and starting:
                    tried -= starting
                    starting, how = set(), {}
                    continue
                if address is None:
                    raise errors.Unavailable(f"The model service at {services} does not answer.")
                tried.add(address.url)
                try:
                    answer = self._while_it_lives(
                        address.url, lambda at=address, how=how: request(at.url, self._token, host=at.host, **how)
                    )
                except (_Silent, urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
                    services.failed(address)
                    continue
                except urllib3.exceptions.ReadTimeoutError:
                    services.failed(address)
                    raise
                except urllib3.exceptions.HTTPError as error:
                    services.failed(address)
                    stopped.append(error)
                    continue
                if STARTING_HEADER in answer.headers:
                    services.failed(address)
                    starting.add(address.url)
                    continue
                services.answered(address)
                return answer

    def _while_it_lives(self, url: str, ask: Callable[[], urllib3.BaseHTTPResponse]) -> urllib3.BaseHTTPResponse:
        """What ``ask()`` answers, however long it takes, as long as the service says in between that it lives.

        Raises :class:`_Silent` where it does not; the thread that still waits ends with its own timeout."""
        answer = _in_a_thread(ask)
        silent = 0
        while True:
            try:
                return answer.result(self._look_every_s)
            except TimeoutError:
                if answer.done():
                    raise
            silent = 0 if self._says_that_it_lives(url) else silent + 1
            if silent == _SILENT_AFTER:
                raise _Silent

    def _says_that_it_lives(self, url: str) -> bool:
        try:
            self._pool.request("GET", f"{url}/healthz", timeout=min(_CONNECT_TIMEOUT_S, self._look_every_s))
        except urllib3.exceptions.HTTPError:
            return False
        return True

    def _ask_supervised(
        self, service: Service, request: Callable[..., urllib3.BaseHTTPResponse], deadline: float
    ) -> urllib3.BaseHTTPResponse:
        while True:
            url = service.wait_for_url(max(0.0, deadline - self._clock()))
            if url is None:
                raise self._not_ready()
            try:
                return request(url, service.token)
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                # Nothing was asked yet: it died a moment ago and gets a new address.
                if self._clock() >= deadline:
                    raise self._not_ready() from error
                time.sleep(0.02)
            except urllib3.exceptions.ReadTimeoutError:
                raise
            except urllib3.exceptions.HTTPError as error:
                # A connection ends a moment before its process has; who asks again at once is not to meet it again.
                noticed_by = self._clock() + _NOTICED_WITHIN_S
                while service.url == url and self._clock() < noticed_by:
                    time.sleep(0.01)
                raise errors.Unavailable(
                    "The model service stopped in the middle of this and is being restarted; ask again."
                ) from error

    def _not_ready(self) -> errors.Unavailable:
        assert not isinstance(self._service, ServiceAddresses)
        return errors.Unavailable(self._service.problem or "The model service is being restarted; ask again.")


def _in_a_thread(ask: Callable[[], urllib3.BaseHTTPResponse]) -> Future[urllib3.BaseHTTPResponse]:
    """A thread of its own for each: a pool's would keep the process from ending while a service hangs."""
    answer: Future[urllib3.BaseHTTPResponse] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="question to the model service", daemon=True).start()
    return answer


def _error_of(status: int, body: bytes) -> errors.MloscopeError:
    try:
        error = json.loads(body)["error"]
        return _KINDS.get(error["kind"], errors.MloscopeError)(error["message"])
    except (ValueError, KeyError, TypeError):
        return errors.Unavailable(f"The model service answered with the HTTP status {status} and no reason.")
