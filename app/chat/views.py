"""The chat page."""

from flask import render_template, request
from flask_login import current_user
from sqlalchemy import Select

from app.extensions import db
from app.models.base import row_id, utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.ordinary_answer import first_affordable
from app.models.catalog.setting import Setting
from app.models.chat.attachment import Attachment
from app.models.chat.chat import Chat, folder_name
from app.models.chat.search import excerpts, mentions
from app.models.documents.document import Document, own
from app.models.metering.reservation import load_account_state
from app.models.metering.usage import Usage
from app.web.access import for_guests_too, is_guest, own_chat
from app.web.blueprints import chat

MOST_LISTED, MOST_FOUND = 100, 50


@chat.get("/chat")
@chat.get("/chat/<chat_id>")
@for_guests_too
def show(chat_id: str | None = None) -> str:
    """The page of a chat, or of a new one. The month's allowance is given here where it is due."""
    now = utcnow()
    account_state = load_account_state(current_user.account_id, now)
    db.session.commit()
    shown = own_chat(chat_id) if chat_id else None
    messages = shown.messages() if shown else []
    is_archive = "archived" in request.args or (shown is not None and shown.archived_at is not None)
    folder = None if is_archive else folder_name(request.args.get("folder", ""))
    models, balance = AIModel.for_sale(now), account_state.balance(now)
    included = [offer for offer in models if not account_state.models or offer[0].name in account_state.models]
    return render_template(
        "chat/chat.html",
        chat=shown,
        messages=messages,
        versions=shown.versions() if shown else {},
        files=Attachment.carried_by(messages),
        total=Usage.total_of(shown.id, shown.account_id) if shown else (0, 0),
        chats=listed(is_archive=is_archive, folder=folder),
        folder=folder,
        folders=Chat.folders_of(**current_user.owns),
        document=document_of(shown),
        instructions="" if shown or is_guest() else current_user.user.chat_instructions,
        prompts=[] if is_guest() else current_user.user.prompts,
        is_archive=is_archive,
        is_temporary=shown.is_temporary if shown else "temporary" in request.args,
        temporary_days=Setting.get("temporary_chat_days"),
        models=models,
        allowed_models=account_state.models,
        default_model=first_affordable(included, balance.available),
        balance=balance,
        is_guest=is_guest(),
    )


@chat.get("/chat/search")
@for_guests_too
def search() -> str:
    """Lines of the list: the newest chats that have the text, with what was said around it."""
    text = request.args.get("q", "").replace("\x00", "").strip()
    query = own_chats(is_archive=False).where(mentions(text)).order_by(Chat.updated_at.desc()).limit(MOST_FOUND)
    chats = list(db.session.scalars(query)) if text else []
    open_id = row_id(request.args.get("open", ""))
    return render_template("chat/found.html", chats=chats, excerpts=excerpts(chats, text), open_id=open_id)


def document_of(chat: Chat | None) -> Document | None:
    """What the chat is about, archived or not: its text goes along. Its settings read the others when opened."""
    if chat is None or chat.document_id is None:
        return None
    return Document.find(chat.document_id, **own(current_user))


def listed(*, is_archive: bool, folder: str | None) -> list[Chat]:
    """The caller's chats, pinned ones first, then the newest; or those of a folder, or of the archive."""
    chats = own_chats(is_archive=is_archive)
    if folder is not None:
        chats = chats.where(Chat.folder == folder)
    return list(db.session.scalars(chats.order_by(Chat.pinned_at.is_(None), Chat.updated_at.desc()).limit(MOST_LISTED)))


def own_chats(*, is_archive: bool) -> Select[Chat]:
    return Chat.listed(**current_user.owns).where(Chat.archived_at.is_not(None) == is_archive)
