"""Calls about documents over JSON: draft, refine, refine a selection, repurpose, describe a picture."""

from typing import Annotated, Any

from flask import Response, g
from flask_login import current_user
from pydantic import Field

from app.api.blueprint import api
from app.api.bodies import CountOrNone, Filled, Text
from app.api.calls import ONCE, STREAM, Limits, call_options, wants_html
from app.api.documents import WHOLE_DOCUMENT, Content, Title, shown_whole
from app.api.event_stream import stream_of_generation
from app.api.rate_limits import limited_sends
from app.api.revisions import followed
from app.api.schemas import EVENTS, JSON, described
from app.extensions import db
from app.generation.documents import KINDS, DocumentRequest, ask, repeated
from app.models.base import utcnow
from app.models.documents.document import Document
from app.models.metering.plan_limits import check_documents
from app.models.metering.reservation import lock_account_state
from app.web.access import own_document
from app.web.gate import requires_tokens, says_remaining

Kind = Annotated[Text, Field(description=f"One of {', '.join(KINDS)}; or say it in `instructions`.")]


class NewDocument(Limits):
    """With `instructions` a model drafts it (an event stream); without, it begins with `content`, at no cost."""

    title: Title = ""
    content: Content = ""
    instructions: Text | None = None


class Refinement(Limits):
    instructions: Filled
    revision: CountOrNone | None = None


class SelectionRefinement(Refinement):
    """`start` and `end` count Unicode code points of the text; what is outside of them stays to the byte."""

    start: CountOrNone
    end: CountOrNone
    revision: CountOrNone


class Repurposing(Limits):
    kind: Kind = ""
    instructions: Text = ""
    title: Title = ""
    revision: CountOrNone | None = None


class Picture(Limits):
    start: CountOrNone | None = None
    end: CountOrNone | None = None
    instructions: Text = ""
    revision: CountOrNone | None = None


@api.post("/documents")
@limited_sends
@says_remaining("documents")
@requires_tokens
@described(
    "Create a document: empty, with a text, or drafted by a model (an event stream)",
    WHOLE_DOCUMENT,
    status=(200, 201),
    body=NewDocument,
    headers=ONCE,
    kind=JSON,
    also_as=EVENTS,
)
def start_document() -> Response | tuple[dict[str, Any], int]:
    sent = NewDocument.read()
    if sent.instructions is not None:
        return begun(None, "draft", NewDocument)
    check_documents(lock_account_state(current_user.account_id, utcnow()))
    document = Document.begin(current_user, sent.title)
    if sent.content:
        document.write(sent.content, 0)
    db.session.commit()
    return shown_whole(document), 201


@api.post("/documents/<document_id>/refine")
@limited_sends
@requires_tokens
@described("Propose a revision of the whole document", STREAM, body=Refinement, headers=ONCE, kind=EVENTS)
def refine_document(document_id: str) -> Response:
    return begun(document_id, "refine", Refinement)


@api.post("/documents/<document_id>/refine-selection")
@limited_sends
@requires_tokens
@described("Propose a revision of a selection", STREAM, body=SelectionRefinement, headers=ONCE, kind=EVENTS)
def refine_selection(document_id: str) -> Response:
    return begun(document_id, "refine_selection", SelectionRefinement)


@api.post("/documents/<document_id>/repurpose")
@limited_sends
@says_remaining("documents")
@requires_tokens
@described(
    "Turn a document into another kind, as a new document",
    STREAM,
    body=Repurposing,
    headers=ONCE,
    kind=EVENTS,
)
def repurpose_document(document_id: str) -> Response:
    return begun(document_id, "repurpose", Repurposing)


@api.post("/documents/<document_id>/image-prompt")
@limited_sends
@requires_tokens
@described(
    "Write an image prompt for the document or a selection",
    STREAM,
    body=Picture,
    headers=ONCE,
    kind=EVENTS,
)
def write_image_prompt(document_id: str) -> Response:
    return begun(document_id, "image_prompt", Picture)


def begun(document_id: str | None, operation: str, taken: type[Limits]) -> Response:
    """Follow what this Idempotency-Key began before, else what begins now."""
    document = own_document(document_id) if document_id else None
    sent = taken.read()
    options = call_options(sent)
    if revision := repeated(current_user, options):
        return followed(revision)
    generation = ask(current_user, document, request_of(operation, sent), options)
    g.available_nanos = generation.reservation.available
    return stream_of_generation(generation, as_html=wants_html())


def request_of(operation: str, sent: Limits) -> DocumentRequest:
    """The fields of the body that a request about a document has."""
    given = {name: value for name, value in sent.model_dump().items() if value is not None}
    fields = {name: given[name] for name in DocumentRequest.__slots__ if name in given}
    return DocumentRequest(**fields | {"operation": operation})
