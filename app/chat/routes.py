"""The chat page."""

from __future__ import annotations

from flask import Blueprint, abort, render_template
from flask_login import current_user
from sqlalchemy import select

from app.extensions import db
from app.models.base import utcnow
from app.models.chat import Chat
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
    own = {"account_id": current_user.account_id, "user_id": current_user.user_id, "deleted_at": None}
    shown = Chat.find(chat_id, **own) if chat_id else None
    if chat_id and shown is None:
        abort(404)
    recent = select(Chat).filter_by(**own).order_by(Chat.updated_at.desc()).limit(100)
    return render_template(
        "chat/chat.html",
        chat=shown,
        messages=shown.messages() if shown else [],
        chats=list(db.session.scalars(recent)),
        models=AIModel.for_sale(now),
        allowed_models=standing.models,
        balance=standing.balance(now),
    )
