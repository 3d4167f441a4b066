"""Documents over JSON: list, search, read, write, archive, delete, export."""

from typing import Annotated, Any

from flask import request
from flask_login import current_user
from pydantic import Field
from sqlalchemy import or_, select

from app.api.blueprint import answer_of, api, or_404, page_of
from app.api.bodies import Body, CountOrNone, Flag, Text, storable
from app.api.schemas import (
    COUNT,
    FLAG,
    MOMENT,
    PAGING,
    TEXT,
    Schema,
    amounts_or_null,
    array,
    described,
    or_null,
    page,
    shape,
)
from app.extensions import db
from app.generation import registry
from app.models.base import utcnow
from app.models.chat.chat import STATUSES
from app.models.documents.document import LONGEST_BODY, Document, Revision, own
from app.models.metering.refusal import InvalidRequest
from app.models.search import contains
from app.web.access import own_document

LONGEST_TITLE = 200
DOCUMENT = shape(
    "Document",
    id=TEXT,
    title=TEXT,
    revision=COUNT | {"description": "The number of the shown revision; 0: empty."},
    is_archived=FLAG,
    source_id=or_null(TEXT),
    kind=TEXT,
    created_at=MOMENT,
    updated_at=MOMENT,
)
REVISION = shape(
    "Revision",
    id=TEXT,
    document_id=TEXT,
    number=COUNT,
    state={"enum": ["proposed", "kept", "dropped"]},
    status={"enum": [*STATUSES]},
    operation=or_null(TEXT),
    base=or_null(COUNT),
    call_id=or_null(TEXT),
    is_shown=FLAG,
    error=or_null(shape("RevisionError", code=TEXT, detail=or_null(TEXT))),
    created_at=MOMENT,
    saved_at=MOMENT,
    **amounts_or_null("cost"),
)
WHOLE_DOCUMENT = shape("WholeDocument", content=TEXT, words=COUNT, revisions=array(REVISION), **DOCUMENT["properties"])
SEARCH: dict[str, Schema] = {
    "q": {"type": "string", "description": "Search titles and text."},
    "archived": {"enum": ["0", "1"], "description": "1: only archived ones."},
}
Title = Annotated[Text, Field(max_length=LONGEST_TITLE)]
Content = Annotated[Text, Field(max_length=LONGEST_BODY)]


class DocumentChanges(Body):
    """What is left out stays as it is. `content` asks for the number of the revision that was seen."""

    title: Title | None = None
    content: Content | None = None
    revision: CountOrNone | None = None
    is_archived: Flag | None = None


@api.get("/documents")
@described("List documents, newest first", page(DOCUMENT), query=PAGING | SEARCH)
def list_documents() -> dict[str, Any]:
    archived = request.args.get("archived") == "1"
    query = select(Document).filter_by(**own(current_user)).where(Document.archived_at.is_not(None) == archived)
    text = storable(request.args.get("q", "")).strip()
    if text:
        head = select(Revision.id).where(Revision.id == Document.head_id, contains(Revision.body, text))
        query = query.where(or_(contains(Document.title, text), head.exists()))
    return page_of(query, Document.id, shown_document)


@api.get("/documents/<document_id>")
@described("Get a document with its text and all its revisions, newest first", WHOLE_DOCUMENT)
def read_document(document_id: str) -> dict[str, Any]:
    return shown_whole(own_document(document_id))


@api.patch("/documents/<document_id>")
@described(
    "Save, rename or archive a document; 409 `document_changed` if its text has changed meanwhile",
    WHOLE_DOCUMENT,
    body=DocumentChanges,
)
def change_document(document_id: str) -> dict[str, Any]:
    document, sent = or_404(Document.locked(document_id, current_user)), DocumentChanges.read()
    if all(value is None for value in (sent.title, sent.content, sent.is_archived)):
        raise InvalidRequest({"body": ["names none of title, content, is_archived."]})
    if sent.content is not None:
        if sent.revision is None:
            raise InvalidRequest({"revision": ["is missing: give the number of the revision your text is based on."]})
        document.write(sent.content, sent.revision)
    if sent.title is not None:
        document.title = sent.title
    if sent.is_archived is not None:
        document.archived_at = (document.archived_at or utcnow()) if sent.is_archived else None
    db.session.commit()
    return shown_whole(document)


@api.delete("/documents/<document_id>")
@described("Delete a document with all its revisions; its cost stays in the usage", status=204)
def delete_document(document_id: str) -> tuple[str, int]:
    document = or_404(Document.locked(document_id, current_user))
    running = [revision.call_id for revision in document.revisions() if revision.is_running]
    document.erase()
    db.session.commit()
    for call_id in running:
        registry.live.stop(call_id)
    return "", 204


def shown_document(document: Document) -> dict[str, Any]:
    is_archived = document.archived_at is not None
    return answer_of(DOCUMENT, document, revision=document.number, is_archived=is_archived)


def shown_whole(document: Document) -> dict[str, Any]:
    revisions = [shown_revision(revision, document) for revision in document.revisions()]
    body = document.body
    return shown_document(document) | {"content": body, "words": len(body.split()), "revisions": revisions}


def shown_revision(revision: Revision, document: Document) -> dict[str, Any]:
    call, code = revision.call, revision.error_code
    return answer_of(
        REVISION,
        revision,
        base=revision.base_number,
        is_shown=document.head_id == revision.id,
        error={"code": code, "detail": revision.error_detail} if code else None,
        cost_nanos=call.paid_nanos if call else None,
    )
