"""A trained system as a web service."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field, StrictInt, StrictStr

import mmgraph
from mmgraph.errors import UserError
from mmgraph.serving.pictures import Picture
from mmgraph.serving.service import Found, Service

#: Most items of an answer, of a history and of a list; most bytes of a request.
MOST_ITEMS, MOST_NAMED, MOST_BYTES = 1000, 10_000, 2**20
_PICTURE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
    "Cache-Control": "max-age=60",
}
_PAGE = Path(__file__).with_name("page.html")

Id = StrictInt | Annotated[StrictStr, Field(max_length=1000)]
Ids = Annotated[list[Id], Field(max_length=MOST_NAMED)]
Start = Annotated[int, Query(ge=0, lt=2**63)]
Count = Annotated[int, Query(ge=1, le=MOST_ITEMS)]


class Named(BaseModel):
    """An item."""

    item_id: int | str
    title: str | None = None
    picture: str | None = None


class Item(Named):
    """An item of an answer."""

    score: float


class Answer(BaseModel):
    """Items, best first, the system that they are of, and the item they are like."""

    system: str
    items: list[Item]
    item: Named | None = None


class Question(BaseModel):
    """Whom to recommend to, and what: a user of the catalogue, or a history."""

    user_id: Id | None = None
    history: Ids | None = None
    k: Annotated[int, Field(ge=1, le=MOST_ITEMS)] = 20
    include_seen: bool = False
    allow: Ids | None = None
    deny: Ids = []


class Current:
    """The service that answers now; another takes its place between two requests."""

    def __init__(self, service: Service) -> None:
        self.service = service


def create_app(current: Current, names: Collection[str] | None = None) -> FastAPI:
    """The web service.

    Args:
        current: What answers; its ``service`` may be replaced at any time.
        names: Names of hosts that requests may be for, as
            :func:`~mmgraph.serving.server.served_names` gives them; None: any.

    Example:
        >>> import numpy as np, torch
        >>> from mmgraph.serving.vectors import Vectors
        >>> none, vectors = np.array([]), torch.ones(0, 8)
        >>> service = Service("LightGCN", Vectors(none, none, vectors, vectors), None)
        >>> app = create_app(Current(service))
        >>> list(app.openapi()["paths"])[:4]
        ['/health', '/version', '/recommend', '/similar/{item_id}']
    """
    app = FastAPI(
        title="mmgraph", version=mmgraph.__version__, docs_url=None, redoc_url=None
    )
    app.exception_handler(UserError)(_refuse)
    app.exception_handler(RequestValidationError)(_explain)

    @app.middleware("http")
    async def check(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        refusal = _of_another(request, names) or _of_no_size(request)
        return refusal or await call_next(request)

    @app.get("/health")
    def health() -> dict[str, str]:
        """Says that it is there."""
        return {"status": "ok"}

    @app.get("/version")
    def version() -> dict[str, Any]:
        """What answers: the program and the system."""
        service = current.service
        return {
            "mmgraph": mmgraph.__version__,
            "system": service.system,
            "users": len(service.vectors.user_ids),
            "items": len(service.vectors.item_ids),
            "compare_by": service.compare_by,
            "pictures": len(service.pictures),
            "index_finds": service.found,
        }

    @app.post("/recommend")
    def recommend(question: Question) -> Answer:
        """The best items of a user, or of somebody with a history."""
        if (question.user_id is None) == (question.history is None):
            raise HTTPException(422, "give either user_id or history")
        service = current.service
        choice = {
            "include_seen": question.include_seen,
            "allow": question.allow,
            "deny": question.deny,
        }
        if question.history is not None:
            found = service.recommend_for(question.history, question.k, **choice)
        else:
            found = service.recommend(question.user_id, question.k, **choice)
        return _answer(service, found)

    @app.get("/similar/{item_id:path}")
    def similar(item_id: str, k: Count = 10, by: str = "trained") -> Answer:
        """The items that are most like one, by the system or by a modality."""
        service = current.service
        answer = _answer(service, service.similar(item_id, k, by))
        answer.item = _named(service, service.original(item_id))
        return answer

    @app.get("/picture/{item_id:path}", response_class=Response)
    def picture(item_id: str) -> Response:
        """The picture of an item."""
        return _shown(current.service.picture(item_id))

    @app.get("/thumbnail/{item_id:path}", response_class=Response)
    def thumbnail(item_id: str) -> Response:
        """The picture of an item, made small."""
        return _shown(current.service.thumbnail(item_id))

    @app.get("/history/{user_id:path}")
    def history(user_id: str, start: Start = 0, count: Count = 50) -> list[Named]:
        """The items that a user had in training, in their order."""
        service = current.service
        ids = service.history_of(user_id)[start:][:count]
        return [_named(service, one) for one in ids]

    @app.get("/users")
    def users(start: Start = 0, count: Count = 50) -> list[int | str]:
        """Ids of users, in their order."""
        ids: list[int | str] = current.service.vectors.user_ids[start:][:count].tolist()
        return ids

    @app.get("/items")
    def items(start: Start = 0, count: Count = 50) -> list[Named]:
        """Ids, titles and pictures of items, in their order."""
        service = current.service
        ids = service.vectors.item_ids[start:][:count].tolist()
        return [_named(service, one) for one in ids]

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        """A page to look at users, items and what is recommended to them."""
        return _PAGE.read_text("utf-8")

    return app


def _answer(service: Service, found: list[Found]) -> Answer:
    items = [
        Item(item_id=one.item_id, score=one.score, **_words(service, one.item_id))
        for one in found
    ]
    return Answer(system=service.system, items=items)


def _shown(found: Picture | None) -> Response:
    if found is None:
        raise HTTPException(404, "no picture of this item")
    return Response(found.content, 200, _PICTURE_HEADERS, found.media_type)


def _named(service: Service, item_id: int | str) -> Named:
    return Named(item_id=item_id, **_words(service, item_id))


def _words(service: Service, item_id: object) -> dict[str, str | None]:
    """The title of an item, and where its picture is."""
    has_picture = service.has_picture(item_id)
    address = f"picture/{quote(str(item_id), safe='')}" if has_picture else None
    return {"title": service.title(item_id), "picture": address}


def _of_another(request: Request, names: Collection[str] | None) -> Response | None:
    """The answer to a request for a host that we are not, as of a rebound DNS name."""
    name = re.sub(r":\d*$", "", request.headers.get("host", "")).lower()
    if names is None or name in names:
        return None
    fix = "if it is a name of this service, start it with --allow-host"
    return _error(400, f"no service for {name[:99]!r} - {fix}")


def _of_no_size(request: Request) -> Response | None:
    """The answer to a body that is too large, or does not say how large it is."""
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers:
        return _error(411, "say the length of the request")
    if not length.isdecimal() or int(length) > MOST_BYTES:
        return _error(413, f"a request may have {MOST_BYTES} bytes")
    return None


async def _explain(request: Request, error: Exception) -> Response:
    """What is wrong and where, without the input, which JSON may be unable to hold."""
    assert isinstance(error, RequestValidationError)
    known = ("loc", "msg", "type")
    faults = [{name: each[name] for name in known} for each in error.errors()]
    return _error(422, faults)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, UserError)
    status = 404 if error.what.startswith("unknown") else 422
    return _error(status, f"{error.what} - {error.fix}")


def _error(status: int, detail: str | list[Any]) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
