"""Asks the model service. Imports no TensorFlow; every method may be called from several threads at once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import urllib3

from mloscope.app import errors
from mloscope.app.model_service.wire import (
    CONTENT_TYPE,
    TOKEN_HEADER,
    TOKEN_VARIABLE,
    Evaluation,
    RunSpec,
    pack,
    unpack_evaluation,
)
from mloscope.app.request_context import REQUEST_ID, REQUEST_ID_HEADER

__all__ = ["Evaluation", "ModelServiceClient", "RunSpec", "Service"]

_KINDS = {
    each.kind: each
    for each in (errors.BadRequest, errors.NotFound, errors.Conflict, errors.NotPossible, errors.Unavailable)
}
_CONNECT_TIMEOUT_S = 2.0


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``service``: the address of one that somebody else runs, e.g. ``http://gpu-host:8060`` (with its
        ``token``, by default from the environment variable MLOSCOPE_MODEL_SERVICE_TOKEN), or a supervised
        one."""
        self._service = service
        self._token = token if token is not None else os.environ.get(TOKEN_VARIABLE, "")
        self.timeout_s = timeout_s
        self._clock = clock
        self._pool = urllib3.PoolManager(num_pools=4, maxsize=16, retries=False)

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

    def describe(self, spec: RunSpec) -> dict[str, Any]:
        """``{"output_layer": name, "layers": {name: shape}, "input_shape": shape}``; shapes without the batch
        axis, None for a length that is not fixed. Raises as :meth:`evaluate`."""
        body = json.dumps({"run": spec.to_json()}).encode()
        return json.loads(self._ask("POST", "/describe", body, "application/json"))

    def status(self, timeout_s: float | None = None) -> dict[str, Any]:
        """What the service says of itself: ``state``, ``problem``, ``device``, ``waiting`` ..."""
        return json.loads(self._ask("GET", "/status", None, None, timeout_s))

    def _ask(
        self, method: str, path: str, body: bytes | None, content_type: str | None, timeout_s: float | None = None
    ) -> bytes:
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        deadline = self._clock() + timeout_s
        headers = {"content-type": content_type} if content_type else {}
        if REQUEST_ID.get():
            headers[REQUEST_ID_HEADER] = REQUEST_ID.get()
        while True:
            url, token = self._address(deadline)
            try:
                answer = self._pool.request(
                    method,
                    url + path,
                    body=body,
                    headers={**headers, TOKEN_HEADER: token},
                    timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=max(0.01, deadline - self._clock())),
                )
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                # Nothing was asked yet. A supervised service has died a moment ago and gets a new address.
                if isinstance(self._service, str):
                    raise errors.Unavailable(f"The model service at {url} does not answer.") from error
                if self._clock() >= deadline:
                    raise self._not_ready() from error
                time.sleep(0.02)
                continue
            except urllib3.exceptions.ReadTimeoutError as error:
                raise errors.Unavailable(
                    f"The model service did not answer within {timeout_s:g} seconds; ask again."
                ) from error
            except urllib3.exceptions.HTTPError as error:
                restarted = "" if isinstance(self._service, str) else " and is being restarted"
                raise errors.Unavailable(
                    f"The model service stopped in the middle of this{restarted}; ask again."
                ) from error
            if answer.status == 200:
                return answer.data
            raise _error_of(answer.status, answer.data)

    def _address(self, deadline: float) -> tuple[str, str]:
        if isinstance(self._service, str):
            return self._service.rstrip("/"), self._token
        url = self._service.wait_for_url(max(0.0, deadline - self._clock()))
        if url is None:
            raise self._not_ready()
        return url, self._service.token

    def _not_ready(self) -> errors.Unavailable:
        assert not isinstance(self._service, str)
        return errors.Unavailable(self._service.problem or "The model service is being restarted; ask again.")


def _error_of(status: int, body: bytes) -> errors.MloscopeError:
    try:
        error = json.loads(body)["error"]
        return _KINDS.get(error["kind"], errors.MloscopeError)(error["message"])
    except (ValueError, KeyError, TypeError):
        return errors.Unavailable(f"The model service answered with the HTTP status {status} and no reason.")
