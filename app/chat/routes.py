"""The chat page."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from app.extensions import db
from app.models.base import utcnow
from app.models.chat import Chat, Message
from app.models.metering import standing_shown
from app.models.price import AIModel

chat = Blueprint("chat", __name__)


@chat.get("/chat")
@chat.get("/chat/<chat_id>")
def show(chat_id: str | None = None) -> str:
    """The page of a chat, or of a new one. The month's allowance is given here where it is due."""
    now = utcnow()
    standing = standing_shown(current_user.account_id, now)
    db.session.commit()
    shown = own_chat(chat_id) if chat_id else None
    recent = select(Chat).filter_by(**own()).order_by(Chat.updated_at.desc()).limit(100)
    return render_template(
        "chat/chat.html",
        chat=shown,
        messages=shown.messages() if shown else [],
        versions=shown.versions() if shown else {},
        chats=list(db.session.scalars(recent)),
        models=AIModel.for_sale(now),
        allowed_models=standing.models,
        balance=standing.balance(now),
    )


@chat.post("/chat/<chat_id>/version")
def show_version(chat_id: str) -> ResponseReturnValue:
    """Show another version of a question or an answer, with what followed it."""
    shown = own_chat(chat_id)
    version = Message.find(request.form.get("message_id", ""), chat_id=shown.id)
    if version is None:
        abort(404)
    shown.show(version)
    db.session.commit()
    return redirect(url_for("chat.show", chat_id=shown.id), 303)


def own() -> dict[str, Any]:
    return {"account_id": current_user.account_id, "user_id": current_user.user_id, "deleted_at": None}


def own_chat(chat_id: str) -> Chat:
    found = Chat.find(chat_id, **own())
    if found is None:
        abort(404)
    return found
