"""Operations on documents: draft, refine, refine a selection, repurpose, describe a picture.

Each is a few lines on `call.begin`: what the model reads, and the revision that keeps what it writes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import update

from app.extensions import db
from app.generation import call
from app.generation.call import CallOptions, Context, begin, earlier
from app.generation.generation import Generation
from app.generation.text_checkpoint import REVISIONS, KeptText
from app.models.base import utcnow
from app.models.catalog.price import ModelPrice
from app.models.catalog.setting import Setting
from app.models.chat.chat import title_of
from app.models.documents.document import Document, Revision
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.plan_limits import check_documents
from app.models.metering.refusal import InvalidRequest
from app.models.metering.reservation import Reservation
from app.models.metering.usage import Usage
from app.providers.base import Prompt, estimate_tokens

KINDS = {
    "mail": "an email, with a subject line",
    "social_post": "one post for a social network, at most 280 characters",
    "summary": "a summary of at most five sentences",
    "thread": "a thread of short numbered posts for a social network",
}
"""What a document may become, as the model is told; anything else is told in the user's own words."""

OPERATIONS = ("draft", "refine", "refine_selection", "repurpose", "image_prompt")


@dataclass(frozen=True, slots=True)
class DocumentRequest:
    """What is asked for: the fields that the operation reads; `start` and `end` count code points of the body."""

    operation: str
    instructions: str = ""
    title: str = ""
    kind: str = ""
    start: int | None = None
    end: int | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """How a request is carried out: what the model reads, what fills its instructions, who stores what it writes."""

    content: str
    fields: dict[str, str]
    store: Callable[[Reservation], KeptText | None]
    document_id: int | None


def ask(actor: Actor, document: Document | None, request: DocumentRequest, options: CallOptions) -> Generation:
    """Carry out a request. Refusal, InvalidRequest or Conflict where it cannot be: nothing is spent or stored."""
    task = task_of(actor, document, request)
    options = roomy(request, document, options)
    context = Context({"document_id": task.document_id} if task.document_id else {}, task.store)
    return begin(actor, request.operation, task.content, options, context=context, **task.fields)


def estimate(
    actor: Actor, document: Document | None, request: DocumentRequest, options: CallOptions
) -> tuple[Prompt, ModelPrice]:
    """The prompt that a request would send, and the price it would have. Reserves nothing."""
    task = task_of(actor, document, request)
    options = roomy(request, document, options)
    return call.estimate(actor, request.operation, task.content, options, **task.fields)


def task_of(actor: Actor, document: Document | None, request: DocumentRequest) -> Task:
    """InvalidRequest names the field that is wrong; Conflict where the document was changed meanwhile."""
    if request.operation == "draft":
        instructions = needed(request.instructions)
        content = f"Title: {request.title}\n\n{instructions}" if request.title.strip() else instructions
        title = request.title or title_of(request.instructions)
        return Task(content, {}, partial(store_document, actor, {"title": title}), None)
    if document is None:
        raise InvalidRequest({"document_id": ["is missing."]})
    document.check_number(request.revision)
    return TASKS[request.operation](actor, document, request)


def refine(_actor: Actor, document: Document, request: DocumentRequest) -> Task:
    content = f"<document>\n{filled(document)}\n</document>\n\n{needed(request.instructions)}"
    return Task(content, {}, partial(store_proposal, document, "refine", "", "", document.number), document.id)


def refine_selection(_actor: Actor, document: Document, request: DocumentRequest) -> Task:
    before, selected, after = parted(document.body, request)
    marked = f"{before}<selection>{selected}</selection>{after}"
    content = f"<document>\n{marked}\n</document>\n\n{needed(request.instructions)}"
    store = partial(store_proposal, document, "refine_selection", before, after, document.number)
    return Task(content, {}, store, document.id)


def repurpose(actor: Actor, document: Document, request: DocumentRequest) -> Task:
    kind = KINDS.get(request.kind)
    if kind is None and not request.instructions.strip():
        raise InvalidRequest({"kind": [f"is not one of {', '.join(KINDS)}; or say it in `instructions`."]})
    content = f"<document>\n{filled(document)}\n</document>"
    if request.instructions.strip():
        content += f"\n\n{request.instructions}"
    label = request.kind.replace("_", " ").capitalize() if kind else title_of(request.instructions)
    title = request.title or f"{label}: {document.title}"[:200]
    columns = {"title": title, "source_id": document.id, "kind": request.kind if kind else "own"}
    fields = {"kind": kind or "what the user asks for below it"}
    return Task(content, fields, partial(store_document, actor, columns), document.id)


def image_prompt(_actor: Actor, document: Document, request: DocumentRequest) -> Task:
    text = filled(document)
    if request.start is not None or request.end is not None:
        text = parted(document.body, request)[1]
    content = f"{text}\n\n{request.instructions}" if request.instructions.strip() else text
    return Task(content, {}, lambda _reservation: None, document.id)


TASKS = {
    "refine": refine,
    "refine_selection": refine_selection,
    "repurpose": repurpose,
    "image_prompt": image_prompt,
}


def repeated(actor: Actor, options: CallOptions) -> Revision | None:
    """The revision that this idempotency key began before. Conflict where the request differs."""
    usage = earlier(actor, options)
    if usage is None:
        return None
    return db.session.query(Revision).filter_by(call_id=usage.id).one_or_none()


def roomy(request: DocumentRequest, document: Document | None, options: CallOptions) -> CallOptions:
    """Whoever names no length gets room for the whole document once more."""
    if options.max_output_tokens is not None or request.operation != "refine" or document is None:
        return options
    needed_tokens = 2 * estimate_tokens(document.body) + 256
    return replace(options, max_output_tokens=max(Setting.get("max_output_tokens"), needed_tokens))


def parted(body: str, request: DocumentRequest) -> tuple[str, str, str]:
    """Before the selection, the selection, after it. InvalidRequest where it is none."""
    start, end = request.start, request.end
    for name, value in (("start", start), ("end", end)):
        if value is None:
            raise InvalidRequest({name: ["is missing."]})
        if value > len(body):
            raise InvalidRequest({name: [f"is outside the document, which has {len(body)} characters."]})
    if start is None or end is None or start > end:
        raise InvalidRequest({"start": ["is after `end`."]})
    if not body[start:end].strip():
        raise InvalidRequest({"end": ["selects nothing."]})
    return body[:start], body[start:end], body[end:]


def needed(instructions: str) -> str:
    if not instructions.strip():
        raise InvalidRequest({"instructions": ["is empty."]})
    if len(instructions.encode()) > Setting.get("max_message_bytes"):
        raise InvalidRequest({"instructions": ["is longer than one message may be."]})
    return instructions


def filled(document: Document) -> str:
    if not document.body.strip():
        raise InvalidRequest({"document": ["is empty: there is nothing to work on."]})
    return document.body


def store_document(actor: Actor, columns: dict[str, Any], reservation: Reservation) -> KeptText:
    """A new document, whose first revision is written now. The reservation holds the account."""
    check_documents(AccountState.load(actor.account_id))
    document = Document.begin(actor, **columns)
    usage = Usage.id == reservation.usage_id, Usage.account_id == reservation.account_id
    if document.source_id is None:
        db.session.execute(update(Usage).where(*usage).values(document_id=document.id))
    operation = "draft" if document.source_id is None else "repurpose"
    kept = store_proposal(document, operation, "", "", 0, reservation)
    return replace(kept, when_paid={"state": "kept"})


def store_proposal(
    document: Document, operation: str, before: str, after: str, base: int, reservation: Reservation
) -> KeptText:
    """A proposed revision of the one with that number, which the model writes between `before` and `after`."""
    document.hold()
    document.check_number(base)
    revision = document.add(
        before + after,
        state="proposed",
        status="running",
        operation=operation,
        base_number=base or None,
        before_length=len(before),
        after_length=len(after),
        call_id=reservation.usage_id,
        checkpoint_at=utcnow(),
    )
    ids = {"document_id": str(document.id), "revision_id": str(revision.id)}
    return KeptText(REVISIONS, document.account_id, revision.id, ids, before=before, after=after, has_thinking=False)
