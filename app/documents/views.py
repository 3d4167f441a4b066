"""The list of documents, the editor, and export as Markdown, HTML or DOCX."""

from html import escape

from flask import Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import or_, select

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.operation import Operation
from app.models.chat.attachment import Attachment, plain_name
from app.models.chat.file_text import text_of
from app.models.documents.document import LONGEST_BODY, Document, Revision, own
from app.models.metering.plan_limits import PlanLimits, check_documents
from app.models.metering.reservation import load_account_state, lock_account_state
from app.models.search import contains
from app.web.access import own_document
from app.web.blueprints import documents
from app.web.downloads import ALONE, file_name, offer_as
from app.web.markdown import render
from app.web.rate_limits import dear

MOST_LISTED = 100
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TYPES = {"md": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8", "docx": DOCX}


@documents.get("")
def index() -> str:
    """The actor's documents, newest first, or those of the archive."""
    account_state = load_account_state(current_user.account_id, utcnow())
    db.session.commit()
    text, is_archive = request.args.get("q", "").replace("\x00", "").strip(), "archived" in request.args
    return render_template(
        "documents/index.html",
        documents=listed(text, is_archive=is_archive),
        text=text,
        is_archive=is_archive,
        limit=PlanLimits.of(account_state).documents,
    )


@documents.post("")
def begin() -> ResponseReturnValue:
    """An empty document, to be written by hand, or one with the words of a file."""
    file = request.files.get("file")
    own = LONGEST_BODY, "file", current_user.account_id
    text, excerpt = text_of(file.read(), *own) if file else ("", None)
    check_documents(lock_account_state(current_user.account_id, utcnow()))
    document = Document.begin(current_user, plain_name(file.filename or "") if file else "")
    document.write(text, None)
    db.session.commit()
    if excerpt:
        flash(f"This is {excerpt} of your file.", "warning")
    return redirect(url_for("documents.show", document_id=document.id), 303)


@documents.get("/<document_id>")
def show(document_id: str) -> str:
    document = own_document(document_id)
    account_state = load_account_state(current_user.account_id, utcnow())
    db.session.commit()
    allowed = account_state.models
    models = [model for model, _price in AIModel.for_sale() if not allowed or model.name in allowed]
    return render_template(
        "documents/document.html",
        document=document,
        head=document.head,
        revisions=[revision for revision in document.revisions() if revision.status != "running"],
        models=models,
        images=Attachment.of_document(document.id),
        operations=Operation.all(),
        source=Document.find(document.source_id, **own(current_user)) if document.source_id else None,
    )


@documents.get("/<document_id>/preview")
@dear
def preview(document_id: str) -> str:
    """What was saved, as it reads."""
    return render(own_document(document_id).body)


@documents.get("/<document_id>/export.<kind>")
@dear
def export(document_id: str, kind: str) -> Response:
    document = own_document(document_id)
    if kind not in TYPES:
        abort(404)
    content: str | bytes = document.body
    if kind == "html":
        content = page_of(document.title, document.body)
    elif kind == "docx":
        from app.documents.docx import as_docx  # noqa: PLC0415 - its library is large

        content = as_docx(document.title, document.body)
    response = Response(content, content_type=TYPES[kind])
    response.headers["Content-Security-Policy"] = ALONE
    return offer_as(response, f"{file_name(document.title, 'document')}.{kind}")


def listed(text: str, *, is_archive: bool) -> list[Document]:
    mine = select(Document).filter_by(**own(current_user)).where(Document.archived_at.is_not(None) == is_archive)
    if text:
        head = Revision.id == Document.head_id, contains(Revision.body, text)
        mine = mine.where(or_(contains(Document.title, text), select(Revision.id).where(*head).exists()))
    return list(db.session.scalars(mine.order_by(Document.updated_at.desc()).limit(MOST_LISTED)))


def page_of(title: str, body: str) -> str:
    """A page that stands alone."""
    head = f'<meta charset="utf-8"><title>{escape(title or "Document")}</title>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{render(body)}</body></html>'
