"""The thread that evaluates networks: backends are slow to load and not all of them may be used from several threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from mloscope.app import errors
from mloscope.app.model_service.evaluator import Evaluator
from mloscope.app.model_service.work_queue import WorkQueue

logger = logging.getLogger(__name__)


class Worker:
    """The thread that evaluates, and the queue in front of it."""

    def __init__(self, load: Callable[[], Evaluator], loading: str) -> None:
        """``load`` loads the network backends; it is called in the thread. ``loading``: what is said meanwhile."""
        self.queue = WorkQueue()
        self.state = "starting"
        self.loading = loading
        self.problem: str | None = loading
        self.evaluator: Evaluator | None = None
        self._load = load
        self._thread = threading.Thread(target=self._run, name="evaluation", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.queue.close()

    def _run(self) -> None:
        try:
            self.evaluator = self._load()
            self.state, self.problem = "ready", None
        except Exception as error:
            logger.exception("The network backends cannot be loaded")
            known = isinstance(error, errors.MloscopeError)
            self.problem = str(error) if known else f"The network backends cannot be loaded: {error}"
            self.state = "failed"
        self.queue.run()

    def ready_evaluator(self) -> Evaluator:
        if self.evaluator is None:
            raise errors.Unavailable(self.problem or self.loading)
        return self.evaluator
