"""Chats and messages over JSON: list, read, ask, stop, answer again, edit, follow."""

from __future__ import annotations

from typing import Any

from flask import Response, g, request
from flask_login import current_user
from sqlalchemy import Select, or_, select

from app.api.blueprint import amount, api, body, count_field, found, moment, page_of, storable, text_field
from app.chat import turns
from app.chat.asking import Ask, answer, ask, estimate, fingerprint, repeated
from app.chat.events import stream_of
from app.extensions import db
from app.gate import requires_tokens
from app.models.base import utcnow
from app.models.chat import Chat, Message, branch
from app.models.metering import admit
from app.models.price import AIModel
from app.models.refusal import InvalidRequest, Refusal

LONGEST_TITLE = 200


@api.post("/chats")
@requires_tokens
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
def list_chats() -> dict[str, Any]:
    query = mine().where(Chat.archived_at.is_(None))
    words = storable(request.args.get("q", "")).strip()
    if words:
        like = f"%{escaped(words)}%"
        said = select(Message.chat_id).where(Message.content.ilike(like, escape="\\"), Message.chat_id == Chat.id)
        query = query.where(or_(Chat.title.ilike(like, escape="\\"), said.exists()))
    return page_of(query, Chat.id, shown_chat)


@api.get("/chats/<chat_id>")
def read_chat(chat_id: str) -> dict[str, Any]:
    chat = my_chat(chat_id)
    return shown_chat(chat) | {"messages": [shown_message(message) for message in chat.messages()]}


@api.patch("/chats/<chat_id>")
def rename_chat(chat_id: str) -> dict[str, Any]:
    chat = my_chat(chat_id)
    chat.title = text_field(body(), "title", required=True, most=LONGEST_TITLE) or ""
    db.session.commit()
    return shown_chat(chat)


@api.delete("/chats/<chat_id>")
def delete_chat(chat_id: str) -> tuple[str, int]:
    my_chat(chat_id).deleted_at = utcnow()
    db.session.commit()
    return "", 204


@api.post("/chats/<chat_id>/messages")
@requires_tokens
def send_message(chat_id: str) -> Response:
    chat, sent = my_chat(chat_id), body()
    wish = wish_of(sent, chat.model)
    content = text_field(sent, "content", required=True) or ""
    earlier = repeated(current_user, wish)
    if earlier:
        return stream_of(earlier, as_html=wants_html())
    return begun(ask(current_user, chat, content, wish, parent_id=chat.leaf_id))


@api.post("/messages/<message_id>/regenerate")
@requires_tokens
def regenerate(message_id: str) -> Response:
    message = my_message(message_id, role="assistant")
    chat = my_chat(message.chat_id)
    wish = wish_of(body(), message.model or chat.model)
    earlier = repeated(current_user, wish)
    if earlier:
        return stream_of(earlier, as_html=wants_html())
    path = branch(chat_messages(chat), message.parent_id)
    return begun(answer(current_user, chat, path, wish))


@api.put("/messages/<message_id>")
@requires_tokens
def edit_message(message_id: str) -> Response:
    message = my_message(message_id, role="user")
    chat, sent = my_chat(message.chat_id), body()
    wish = wish_of(sent, chat.model)
    content = text_field(sent, "content", required=True) or ""
    earlier = repeated(current_user, wish)
    if earlier:
        return stream_of(earlier, as_html=wants_html())
    return begun(ask(current_user, chat, content, wish, parent_id=message.parent_id))


@api.post("/messages/<message_id>/stop")
def stop_message(message_id: str) -> dict[str, Any]:
    """Ask a running answer to end; it does within a second or so, wherever it runs."""
    message = my_message(message_id, role="assistant")
    if message.is_running:
        message.stop_requested_at = message.stop_requested_at or utcnow()
        db.session.commit()
        live = turns.live.get(message.id)
        if live:
            live.stop()
    return {"id": str(message.id), "status": message.status}


@api.get("/messages/<message_id>/stream")
def follow_message(message_id: str) -> Response:
    message = my_message(message_id, role="assistant")
    position = request.headers.get("Last-Event-ID", "0")
    if not (position.isascii() and position.isdigit() and len(position) <= 12):
        raise InvalidRequest({"Last-Event-ID": ["must be the id of an event of this stream."]})
    return stream_of(message, int(position), as_html=wants_html())


@api.post("/estimate")
def estimate_message() -> dict[str, Any]:
    sent = body()
    chat = my_chat(text_field(sent, "chat_id")) if sent.get("chat_id") else None
    wish = wish_of(sent, chat.model if chat else "")
    prompt, price = estimate(chat, text_field(sent, "content") or "", wish)
    expected = price.expected_cost_of(prompt)
    return {"model": wish.model, **amount("expected", expected), **amount("ceiling", price.ceiling_of(prompt))}


def begun(turn: turns.Turn) -> Response:
    g.available_nanos = turn.reservation.available
    message = db.session.get_one(Message, turn.message_id)
    return stream_of(message, as_html=wants_html())


def wish_of(sent: dict[str, Any], model: str) -> Ask:
    """What the body and the Idempotency-Key ask for."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= 200:
        raise InvalidRequest({"Idempotency-Key": ["must have 1 to 200 characters."]})
    route = f"{request.method} {request.path}"
    return Ask(
        model=text_field(sent, "model", most=200) or model or default_model(),
        max_output_tokens=count_field(sent, "max_output_tokens", most=10**7),
        max_cost_nanos=count_field(sent, "max_cost_nanos", lowest=0),
        idempotency_key=key and fingerprint(route, key),
        request_hash=key and fingerprint(route, sorted(sent.items())),
    )


def wants_html() -> bool:
    """The page's own script asks for rendered blocks beside the text."""
    return request.headers.get("X-Render") == "html"


def default_model() -> str:
    """The first model on sale that the plan includes."""
    allowed = current_user.account.plan.models
    for model, _price in AIModel.for_sale():
        if not allowed or model.name in allowed:
            return model.name
    raise Refusal("model_not_for_sale", "No model is on sale here yet. The admin can put one on sale.")


def mine() -> Select[tuple[Chat]]:
    own = Chat.account_id == current_user.account_id, Chat.user_id == current_user.user_id
    return select(Chat).where(*own, Chat.deleted_at.is_(None))


def my_chat(chat_id: str | int | None) -> Chat:
    own = {"account_id": current_user.account_id, "user_id": current_user.user_id, "deleted_at": None}
    return found(Chat.find(chat_id or "", **own))


def my_message(message_id: str, *, role: str) -> Message:
    message = found(Message.find(message_id, account_id=current_user.account_id, role=role))
    my_chat(message.chat_id)
    return message


def chat_messages(chat: Chat) -> list[Message]:
    return list(db.session.scalars(select(Message).where(Message.chat_id == chat.id).order_by(Message.id)))


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
