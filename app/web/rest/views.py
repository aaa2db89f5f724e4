"""Saved views over HTTP: bookmarks with a name and a note."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from mloscope.app.process.request_context import CALLER
from mloscope.app.web.rest.addresses import OwnPage, require_own_page
from mloscope.app.web.rest.dependencies import TheWorkspace
from mloscope.app.web.rest.resource import resource
from mloscope.app.workspace.saved_views import SavedView
from mloscope.app.workspace.workspace import Workspace

router = resource("views", "/views")

ViewId = Annotated[str, Path(description="Id of a saved view.")]


@dataclass(frozen=True)
class ViewAnswer:
    id: str
    name: str
    note: str
    address: Annotated[str, Field(description="Path, search and hash of the page that shows it.")]
    author: Annotated[str, Field(description="Who saved it; empty where nobody signs in.")]
    saved: Annotated[str, Field(description="When, as ISO 8601 in UTC.")]
    run: Annotated[str | None, Field(description="The run that it shows.")]
    corpus: Annotated[str | None, Field(description="The corpus that it shows.")]
    problem: Annotated[str | None, Field(description="Why it cannot be shown as it was; null where it can.")]


@dataclass(frozen=True)
class ViewsAnswer:
    views: list[ViewAnswer]


class NewView(BaseModel):
    name: str
    note: str = ""
    address: str = Field(description="Path, search and hash of the page, as its Share button copies them.")


class ChangedView(BaseModel):
    """What is left out stays as it is."""

    name: str | None = None
    note: str | None = None
    address: str | None = None


@router.get("")
def list_views(
    workspace: TheWorkspace,
    search: Annotated[str, Query(description="Words that name, note, author or address must all contain.")] = "",
) -> ViewsAnswer:
    """Saved views, the latest first."""
    return ViewsAnswer([_answer(workspace, view) for view in workspace.saved_views.search(search)])


@router.post("")
def save_view(workspace: TheWorkspace, view: NewView, x_mloscope: OwnPage = None) -> ViewAnswer:
    """Save a view for everyone who uses this server."""
    require_own_page(x_mloscope, "Views are saved")
    return _answer(workspace, workspace.saved_views.add(view.name, view.note, view.address, CALLER.get().name))


@router.patch("/{view}")
def change_view(workspace: TheWorkspace, view: ViewId, changes: ChangedView, x_mloscope: OwnPage = None) -> ViewAnswer:
    """Change the name, note or address of a saved view."""
    require_own_page(x_mloscope, "Views are changed")
    return _answer(workspace, workspace.saved_views.change(view, **changes.model_dump(exclude_none=True)))


@router.delete("/{view}", status_code=204, response_class=Response)
def delete_view(workspace: TheWorkspace, view: ViewId, x_mloscope: OwnPage = None) -> Response:
    """Delete a saved view."""
    require_own_page(x_mloscope, "Views are deleted")
    workspace.saved_views.remove(view)
    return Response(status_code=204)


def _answer(workspace: Workspace, view: SavedView) -> ViewAnswer:
    runs, corpora = {run.name for run in workspace.runs}, {corpus.name for corpus in workspace.corpora}
    missing = [
        f'the {kind} "{name}"'
        for kind, name, known in (("run", view.run, runs), ("corpus", view.corpus, corpora))
        if name is not None and name not in known
    ]
    problem = f"Not connected: {', '.join(missing)}." if missing else None
    return ViewAnswer(**asdict(view), run=view.run, corpus=view.corpus, problem=problem)
