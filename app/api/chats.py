"""Chats over JSON: begin, list, search, read, rename, delete."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_login import current_user
from sqlalchemy import Select, or_, select

from app.api.blueprint import amount, api, body, found, moment, page_of, storable, text_field
from app.api.shapes import (
    MOMENT,
    PAGING,
    TEXT,
    amounts_or_null,
    array,
    described,
    or_null,
    page,
    shape,
    taken,
)
from app.extensions import db
from app.gate import requires_tokens
from app.models.base import utcnow
from app.models.chat import STATUSES, Chat, Message
from app.models.metering import admit
from app.models.price import AIModel
from app.models.refusal import Refusal

LONGEST_TITLE = 200
CHAT = shape("Chat", id=TEXT, title=TEXT, model=TEXT, created_at=MOMENT, updated_at=MOMENT)
MESSAGE = shape(
    "Message",
    id=TEXT,
    role={"enum": ["user", "assistant"]},
    content=TEXT,
    status={"enum": [*STATUSES]},
    model=or_null(TEXT),
    call_id=or_null(TEXT),
    parent_id=or_null(TEXT),
    error=or_null(shape("MessageError", code=TEXT, detail=or_null(TEXT))),
    created_at=MOMENT,
    **amounts_or_null("cost"),
)
WHOLE_CHAT = shape("WholeChat", messages=array(MESSAGE), **CHAT["properties"])
SEARCH = {"q": {"type": "string", "description": "Words of the title or of a message."}}


@api.post("/chats")
@requires_tokens
@described("Begin a chat", CHAT, status=201, body=taken("ChatWish", model=TEXT, title=TEXT))
def start_chat() -> tuple[dict[str, Any], int]:
    sent = body()
    model = text_field(sent, "model", most=200) or default_model()
    title = text_field(sent, "title", most=LONGEST_TITLE) or ""
    admit(current_user, model)
    chat = Chat(account_id=current_user.account_id, user_id=current_user.user_id, title=title, model=model)
    db.session.add(chat)
    db.session.commit()
    return shown_chat(chat), 201


@api.get("/chats")
@described("The chats, newest first", page(CHAT), query=PAGING | SEARCH)
def list_chats() -> dict[str, Any]:
    query = mine().where(Chat.archived_at.is_(None))
    words = storable(request.args.get("q", "")).strip()
    if words:
        like = f"%{escaped(words)}%"
        said = select(Message.chat_id).where(
            Message.content.ilike(like, escape="\\"), Message.chat_id == Chat.id
        )
        query = query.where(or_(Chat.title.ilike(like, escape="\\"), said.exists()))
    return page_of(query, Chat.id, shown_chat)


@api.get("/chats/<chat_id>")
@described("A chat with the messages of its shown branch", WHOLE_CHAT)
def read_chat(chat_id: str) -> dict[str, Any]:
    chat = my_chat(chat_id)
    return shown_chat(chat) | {"messages": [shown_message(message) for message in chat.messages()]}


@api.patch("/chats/<chat_id>")
@described("Rename a chat", CHAT, body=taken("Title", "title", title=TEXT))
def rename_chat(chat_id: str) -> dict[str, Any]:
    chat = my_chat(chat_id)
    chat.title = text_field(body(), "title", required=True, most=LONGEST_TITLE) or ""
    db.session.commit()
    return shown_chat(chat)


@api.delete("/chats/<chat_id>")
@described("Delete a chat; what it cost stays in the usage", status=204)
def delete_chat(chat_id: str) -> tuple[str, int]:
    my_chat(chat_id).deleted_at = utcnow()
    db.session.commit()
    return "", 204


def default_model() -> str:
    """The first model on sale that the plan includes."""
    allowed = current_user.account.plan.models
    for model, _price in AIModel.for_sale():
        if not allowed or model.name in allowed:
            return model.name
    raise Refusal("model_not_for_sale", "No model is on sale here yet. The admin can put one on sale.")


def mine() -> Select[Chat]:
    own = Chat.account_id == current_user.account_id, Chat.user_id == current_user.user_id
    return select(Chat).where(*own, Chat.deleted_at.is_(None))


def my_chat(chat_id: str | int | None) -> Chat:
    own = {"account_id": current_user.account_id, "user_id": current_user.user_id, "deleted_at": None}
    return found(Chat.find(chat_id or "", **own))


def escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def shown_chat(chat: Chat) -> dict[str, Any]:
    times = {"created_at": moment(chat.created_at), "updated_at": moment(chat.updated_at)}
    return {"id": str(chat.id), "title": chat.title, "model": chat.model, **times}


def shown_message(message: Message) -> dict[str, Any]:
    call = message.call
    cost = amount("cost", call.paid_nanos if call else None)
    return {
        "id": str(message.id),
        "role": message.role,
        "content": message.content,
        "status": message.status,
        "model": message.model,
        "call_id": str(call.id) if call else None,
        "parent_id": str(message.parent_id) if message.parent_id else None,
        "error": {"code": message.error_code, "detail": message.error_detail} if message.error_code else None,
        "created_at": moment(message.created_at),
        **cost,
    }
