"""Dash callbacks that may take their time.

Dash 4.4's FastAPI backend runs a plain callback on the event loop, where a slow one would hold up every film that is being
streamed (docs/decisions/0002-fastapi-backend.md). :func:`threaded` binds a plain function so that it runs in a worker thread.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any

import anyio.to_thread
from dash import Dash
from dash.exceptions import PreventUpdate

logger = logging.getLogger(__name__)


def threaded(app: Dash, *dependencies: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Like ``app.callback``, for a synchronous function. Returns the function itself, so that a test can call it."""

    def bind(function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} is a coroutine already; bind it with app.callback.")

        @functools.wraps(function)
        async def in_thread(*args: Any, **kwargs: Any) -> Any:
            try:
                return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs))
            except PreventUpdate:
                raise
            except Exception:  # Dash answers 500, and says nothing of it
                logger.exception("The callback %s failed", function.__qualname__)
                raise

        app.callback(*dependencies, **options)(in_thread)
        return function

    return bind
