"""What route functions are handed: the parts of the program that answer, from the application's state."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from mloscope.app.statistics.queries import Statistics
from mloscope.app.web.services import Services
from mloscope.app.workspace.workspace import Workspace

# Coroutines: FastAPI would run plain functions in a worker thread, which costs more than they do.


async def services(request: Request) -> Services:
    return request.app.state.services


async def workspace(request: Request) -> Workspace:
    return request.app.state.services.workspace


async def statistics(request: Request) -> Statistics:
    return request.app.state.services.statistics


TheServices = Annotated[Services, Depends(services)]
TheWorkspace = Annotated[Workspace, Depends(workspace)]
TheStatistics = Annotated[Statistics, Depends(statistics)]
