"""Chats over JSON: begin, list, search, read, change, delete."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from flask import request, url_for
from flask_login import current_user
from pydantic import Field
from sqlalchemy import Select

from app.api.attachments import ATTACHMENT, shown_attachment
from app.api.blueprint import answer_of, api, or_404, page_of
from app.api.bodies import Body, CountOrNone, Credits, Filled, Flag, Identifier, Text, storable
from app.api.schemas import (
    FLAG,
    MOMENT,
    PAGING,
    TEXT,
    WHOLE,
    Schema,
    amounts_or_null,
    array,
    described,
    or_null,
    page,
    shape,
)
from app.extensions import db
from app.models.base import utcnow
from app.models.chat.attachment import Attachment
from app.models.chat.chat import (
    MOST_OUTPUT_TOKENS,
    STATUSES,
    Chat,
    Message,
    checked_instructions,
    folder_name,
)
from app.models.chat.search import mentions
from app.models.identity import erasure
from app.models.metering.gate_checks import first_model
from app.models.metering.key_limit import models_open_to
from app.models.metering.refusal import InvalidRequest
from app.web.access import for_guests_too, own_chat, own_document

LONGEST_TITLE = 200
CHAT = shape(
    "Chat",
    id=TEXT,
    title=TEXT,
    model=TEXT,
    is_pinned=FLAG,
    is_archived=FLAG,
    is_temporary=FLAG | {"description": "Whether it is in no list, and deleted some days after its last message."},
    wants_title=FLAG | {"description": "Whether a model will write the title after the first answer."},
    folder=or_null(TEXT),
    document_id=or_null(TEXT) | {"description": "The document whose text goes along with every message."},
    system_prompt=TEXT,
    max_output_tokens=or_null(WHOLE),
    **amounts_or_null("budget"),
    share_url=or_null(TEXT) | {"description": "A link to read the chat as it was at `shared_at`; null: not shared."},
    shared_at=or_null(MOMENT),
    created_at=MOMENT,
    updated_at=MOMENT,
)
MESSAGE = shape(
    "Message",
    id=TEXT,
    role={"enum": ["user", "assistant"]},
    content=TEXT,
    status={"enum": [*STATUSES]},
    model=or_null(TEXT),
    call_id=or_null(TEXT),
    parent_id=or_null(TEXT),
    versions=array(TEXT)
    | {"description": "Ids of all versions of this message, in order; empty if it is the only one."},
    attachments=array(ATTACHMENT),
    error=or_null(shape("MessageError", code=TEXT, detail=or_null(TEXT))),
    created_at=MOMENT,
    **amounts_or_null("cost"),
)
WHOLE_CHAT = shape("WholeChat", messages=array(MESSAGE), **CHAT["properties"])
SEARCH: dict[str, Schema] = {
    "q": {"type": "string", "description": "Search titles and messages."},
    "folder": {"type": "string", "description": "Only chats in this folder."},
    "archived": {"enum": ["0", "1"], "description": "1: only archived ones."},
}
Title = Annotated[Text, Field(max_length=LONGEST_TITLE)]
Folder = Annotated[Text, Field(description="The name of the chat's folder; empty: none.")]


class ChatChanges(Body):
    """What is left out stays as it is."""

    title: Annotated[Filled, Field(max_length=LONGEST_TITLE)] | None = None
    is_pinned: Flag | None = None
    is_archived: Flag | None = None
    is_temporary: Annotated[Literal[False], Field(description="false: keep a temporary chat.")] | None = None
    is_shared: (
        Annotated[
            Flag,
            Field(description="true: create the link, or update what it shows; false: revoke it."),
        ]
        | None
    ) = None
    folder: Folder | None = None
    document_id: (
        Annotated[Text, Field(description="The document whose text goes along from now on; empty: none.")] | None
    ) = None
    system_prompt: Text | None = None
    max_output_tokens: (
        Annotated[
            CountOrNone,
            Field(le=MOST_OUTPUT_TOKENS, description="The maximum answer length in tokens; 0: the default."),
        ]
        | None
    ) = None
    budget_credits: (
        Annotated[Credits, Field(description="The most the chat may cost in total; 0: no budget.")] | None
    ) = None
    shown_message_id: (
        Annotated[Identifier, Field(description="The version to show, with the messages after it.")] | None
    ) = None


@api.get("/chats")
@for_guests_too
@described("List chats, newest first", page(CHAT), query=PAGING | SEARCH)
def list_chats() -> dict[str, Any]:
    query = mine().where(Chat.archived_at.is_not(None) == (request.args.get("archived") == "1"))
    if folder := folder_name(storable(request.args.get("folder", ""))):
        query = query.where(Chat.folder == folder)
    text = storable(request.args.get("q", "")).strip()
    if text:
        query = query.where(mentions(text))
    return page_of(query, Chat.id, shown_chat)


@api.get("/chats/<chat_id>")
@for_guests_too
@described("Get a chat with the messages of its shown branch", WHOLE_CHAT)
def read_chat(chat_id: str) -> dict[str, Any]:
    chat = own_chat(chat_id)
    messages, versions = chat.messages(), chat.versions()
    files = Attachment.carried_by(messages)
    shown = [
        shown_message(message, versions.get(message.id, []), files.get(message.attached_id or 0, []))
        for message in messages
    ]
    return shown_chat(chat) | {"messages": shown}


@api.patch("/chats/<chat_id>")
@for_guests_too
@described(
    "Change a chat: title, pin, archive, folder, share link, instructions, shown version",
    CHAT,
    body=ChatChanges,
)
def change_chat(chat_id: str) -> dict[str, Any]:
    chat, sent = own_chat(chat_id), ChatChanges.read()
    if not any(value is not None for value in sent.model_dump().values()):
        raise InvalidRequest({"body": [f"names none of {', '.join(ChatChanges.model_fields)}."]})
    change(chat, sent)
    db.session.commit()
    return shown_chat(chat)


def change(chat: Chat, sent: ChatChanges) -> None:
    if sent.is_temporary is False and chat.is_temporary:
        chat.keep()
    if sent.title is not None:
        chat.rename(sent.title)
    for wanted, column in ((sent.is_pinned, "pinned_at"), (sent.is_archived, "archived_at")):
        if wanted is not None:
            setattr(chat, column, (getattr(chat, column) or utcnow()) if wanted else None)
    if sent.is_shared is not None:
        share(chat, is_shared=sent.is_shared)
    move(chat, sent)
    if sent.system_prompt is not None:
        chat.system_prompt = checked_instructions(sent.system_prompt)
    if sent.max_output_tokens is not None:
        chat.max_output_tokens = sent.max_output_tokens or None
    if sent.budget_credits is not None:
        chat.budget_nanos = sent.budget_credits or None
    if sent.shown_message_id is not None:
        chat.show(or_404(Message.find(sent.shown_message_id, chat_id=chat.id)))


def move(chat: Chat, sent: ChatChanges) -> None:
    """Into a folder, beside a document."""
    if sent.folder is not None:
        chat.folder = folder_name(sent.folder)
    if sent.document_id is not None:
        chat.document_id = own_document(sent.document_id).id if sent.document_id else None


def share(chat: Chat, *, is_shared: bool) -> None:
    if not is_shared:
        return chat.unshare()
    if chat.guest is not None or chat.leaf_id is None or chat.is_temporary:
        raise InvalidRequest({"is_shared": ["needs an account, and a chat with a message that is not temporary."]})
    return chat.share()


@api.delete("/chats/<chat_id>")
@for_guests_too
@described("Delete a chat and its files; its cost stays in the usage", status=204)
def delete_chat(chat_id: str) -> tuple[str, int]:
    chat = own_chat(chat_id)
    erasure.delete_chats(id=chat.id)
    db.session.commit()
    return "", 204


def default_model() -> str:
    """The first model on sale that the plan includes and the key may ask."""
    plan = current_user.account.plan
    model, _price = first_model(models_open_to(current_user.key_limits, plan.models), plan.name, utcnow())
    return model.name


def wants_title(asked: bool | None) -> bool:
    """A program asks for it; for people the account's setting counts."""
    by_itself = current_user.is_authenticated and current_user.api_key_id is None
    return bool(current_user.account.writes_titles and by_itself if asked is None else asked)


def mine() -> Select[Chat]:
    return Chat.listed(**current_user.owns)


def shown_chat(chat: Chat) -> dict[str, Any]:
    token = chat.share_token
    return answer_of(
        CHAT,
        chat,
        is_pinned=chat.pinned_at is not None,
        is_archived=chat.archived_at is not None,
        share_url=url_for("chat.shared", token=token, _external=True) if token else None,
    )


def shown_message(message: Message, versions: Sequence[int], files: Sequence[Attachment]) -> dict[str, Any]:
    code = message.error_code
    return answer_of(
        MESSAGE,
        message,
        call_id=message.call and message.call.id,
        versions=[str(version) for version in versions],
        attachments=[shown_attachment(file) for file in files],
        error={"code": code, "detail": message.error_detail} if code else None,
        cost_nanos=message.charged_nanos,
    )
