"""What route functions are handed: the parts of the program that answer, from the application's state."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from mloscope.app.observatory import Observatory
from mloscope.app.statistics.queries import Statistics
from mloscope.app.workspace.workspace import Workspace

# Coroutines: FastAPI would run plain functions in a worker thread, which costs more than they do.


async def observatory(request: Request) -> Observatory:
    return request.app.state.observatory


async def workspace(request: Request) -> Workspace:
    return request.app.state.observatory.workspace


async def statistics(request: Request) -> Statistics:
    return request.app.state.observatory.statistics


TheObservatory = Annotated[Observatory, Depends(observatory)]
TheWorkspace = Annotated[Workspace, Depends(workspace)]
TheStatistics = Annotated[Statistics, Depends(statistics)]
