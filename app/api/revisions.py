"""Revisions over JSON: read with what is different, keep, drop, restore; follow and stop one that is written."""

from typing import Any, Literal

from flask import Response
from flask_login import current_user
from sqlalchemy import select

from app.api.blueprint import api, or_404
from app.api.bodies import Body, CountOrNone
from app.api.calls import STREAM, stream_position, wants_html
from app.api.documents import REVISION, WHOLE_DOCUMENT, shown_revision, shown_whole
from app.api.event_stream import stream_of
from app.api.schemas import EVENTS, TEXT, array, described, shape
from app.extensions import db
from app.generation import registry
from app.generation.text_checkpoint import REVISIONS
from app.models.base import utcnow
from app.models.documents.diff import changes
from app.models.documents.document import Document, Revision
from app.web.access import own_document

CHANGE = shape("Change", kind={"enum": ["same", "gone", "new"]}, text=TEXT)
WHOLE_REVISION = shape(
    "WholeRevision",
    content=TEXT,
    changes=array(CHANGE) | {"description": "Compared with the revision it is based on."},
    **REVISION["properties"],
)


class Decision(Body):
    """`kept` takes a proposal over, or restores an earlier revision; `dropped` refuses a proposal.

    `revision` is the number of the revision that the document shows; without it, the one that the proposal is made of.
    """

    state: Literal["kept", "dropped"]
    revision: CountOrNone | None = None


@api.get("/revisions/<revision_id>")
@described("Get a revision with its text and its changes", WHOLE_REVISION)
def read_revision(revision_id: str) -> dict[str, Any]:
    revision = my_revision(revision_id)
    made = [{"kind": kind, "text": text} for kind, text in changes(base_of(revision), revision.body)]
    return shown_revision(revision, revision.document) | {"content": revision.body, "changes": made}


@api.put("/revisions/<revision_id>")
@described(
    "Keep or drop a proposal, or restore an earlier revision; 409 `document_changed` if the text has changed meanwhile",
    WHOLE_DOCUMENT,
    body=Decision,
)
def decide(revision_id: str) -> dict[str, Any]:
    document = or_404(Document.locked(my_revision(revision_id).document_id, current_user))
    sent = Decision.read()
    revision = or_404(Revision.find(revision_id, document_id=document.id))
    db.session.refresh(revision)
    if sent.state == "kept":
        document.keep(revision, sent.revision)
    else:
        document.drop(revision)
    db.session.commit()
    return shown_whole(document)


@api.post("/revisions/<revision_id>/stop")
@described("Stop a running revision", REVISION)
def stop_revision(revision_id: str) -> dict[str, Any]:
    """It does within a second or so, wherever it runs."""
    revision = my_revision(revision_id)
    if revision.is_running:
        revision.stop_requested_at = revision.stop_requested_at or utcnow()
        db.session.commit()
        registry.live.stop(revision.call_id)
    return shown_revision(revision, revision.document)


@api.get("/revisions/<revision_id>/stream")
@described("Follow a revision, from `Last-Event-ID` on", STREAM, headers={"Last-Event-ID": TEXT}, kind=EVENTS)
def follow_revision(revision_id: str) -> Response:
    revision = my_revision(revision_id)
    or_404(revision.call)
    return followed(revision, stream_position())


def followed(revision: Revision, position: int = 0) -> Response:
    ids = {"document_id": str(revision.document_id), "revision_id": str(revision.id)}
    return stream_of(REVISIONS, revision, ids, position, as_html=wants_html())


def my_revision(revision_id: str) -> Revision:
    revision = or_404(Revision.find(revision_id, account_id=current_user.account_id))
    own_document(str(revision.document_id))
    return revision


def base_of(revision: Revision) -> str:
    """The text that it was made of; of a first one, none."""
    if revision.base_number is None:
        return ""
    which = Revision.document_id == revision.document_id, Revision.number == revision.base_number
    return db.session.scalar(select(Revision.body).where(*which)) or ""
