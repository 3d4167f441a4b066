"""Actions on a whole chat: show another version, pin, archive, set up, export."""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from flask import Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.extensions import db
from app.models.base import credits_string, utcnow
from app.models.chat.attachment import Attachment
from app.models.chat.chat import MOST_OUTPUT_TOKENS, Chat, Message, checked_instructions, folder_name
from app.models.metering.refusal import InvalidRequest
from app.web.access import for_guests_too, own_chat, own_document
from app.web.blueprints import chat
from app.web.downloads import file_name, offer_as
from app.web.formatting import model_title
from app.web.numbers import credits_typed


def back_to(shown: Chat) -> ResponseReturnValue:
    db.session.commit()
    return redirect(url_for("chat.show", chat_id=shown.id), 303)


@chat.post("/chat/<chat_id>/version")
@for_guests_too
def show_version(chat_id: str) -> ResponseReturnValue:
    """Show another version of a question or an answer, with what followed it."""
    shown = own_chat(chat_id)
    version = Message.find(request.form.get("message_id", ""), chat_id=shown.id) or abort(404)
    shown.show(version)
    return back_to(shown)


@chat.post("/chat/<chat_id>/pin")
@for_guests_too
def pin(chat_id: str) -> ResponseReturnValue:
    """On top of the list, or not anymore."""
    shown = own_chat(chat_id)
    shown.pinned_at = None if shown.pinned_at else utcnow()
    return back_to(shown)


@chat.post("/chat/<chat_id>/archive")
@for_guests_too
def archive(chat_id: str) -> ResponseReturnValue:
    """Out of the list, or back in it."""
    shown = own_chat(chat_id)
    shown.archived_at = None if shown.archived_at else utcnow()
    return back_to(shown)


@chat.post("/chat/folder")
@for_guests_too
def rename_folder() -> ResponseReturnValue:
    """Another name for a folder; an empty one leaves its chats in none."""
    name, new_name = (folder_name(request.form.get(field, "")) for field in ("name", "folder"))
    if name:
        Chat.rename_folder(name, new_name, **current_user.owns)
    db.session.commit()
    return redirect(url_for("chat.show", folder=new_name), 303)


@chat.post("/chat/<chat_id>/settings")
@for_guests_too
def set_up(chat_id: str) -> ResponseReturnValue:
    """What the model is told before every message, and how long an answer may be; they act from the next message."""
    shown = own_chat(chat_id)
    shown.system_prompt, shown.max_output_tokens = wanted_instructions(), wanted_length()
    shown.budget_nanos, shown.document_id = wanted_budget(), wanted_document()
    return back_to(shown)


def wanted_instructions() -> str:
    return checked_instructions(request.form.get("system_prompt", ""))


def wanted_document() -> int | None:
    """One of the person's own; None for none."""
    chosen = request.form.get("document_id", "")
    return own_document(chosen).id if chosen else None


def wanted_budget() -> int | None:
    """What the chat may cost in all, in nanos; None for no budget."""
    return credits_typed(request.form.get("budget_credits", ""), "budget_credits") or None


def wanted_length() -> int | None:
    """In tokens; None for the usual length."""
    text = request.form.get("max_output_tokens", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MOST_OUTPUT_TOKENS):
        raise InvalidRequest({"max_output_tokens": [f"must be a whole number from 1 to {MOST_OUTPUT_TOKENS:,}."]})
    return int(text)


@chat.get("/chat/<chat_id>/export.md")
@for_guests_too
def export_markdown(chat_id: str) -> Response:
    """The shown branch to read."""
    shown = own_chat(chat_id)
    parts = [f"# {shown.title or 'Chat'}"]
    messages = shown.messages()
    files = Attachment.carried_by(messages)
    for message in messages:
        who = "You" if message.role == "user" else model_title(message.model or "")
        parts += [f"## {who}", *map(told, files.get(message.attached_id or 0, [])), message.content]
    return file_of(shown, "md", "text/markdown", "\n\n".join(parts) + "\n")


@chat.get("/chat/<chat_id>/export.json")
@for_guests_too
def export_json(chat_id: str) -> Response:
    """Everything that was said, in all branches, with what it cost."""
    shown = own_chat(chat_id)
    context = {"id": str(shown.id), "title": shown.title, "system_prompt": shown.system_prompt}
    everything = shown.everything()
    files = Attachment.carried_by(everything)
    messages = [exported(message, files.get(message.attached_id or 0, [])) for message in everything]
    return file_of(
        shown, "json", "application/json", json.dumps({**context, "messages": messages}, indent=2, ensure_ascii=False)
    )


def told(file: Attachment) -> str:
    """A file in an export to read: a text as it was quoted to the model, an image by its name and size."""
    return f"*{file.name}, {file.width} x {file.height} pixels*" if file.is_image else file.quoted


def exported(message: Message, files: Sequence[Attachment]) -> dict[str, Any]:
    return {
        "id": str(message.id),
        "parent_id": message.parent_id and str(message.parent_id),
        "role": message.role,
        "model": message.model,
        "status": message.status,
        "created_at": message.created_at.isoformat(),
        "content": message.content,
        "attachments": [
            {"name": file.name, "media_type": file.media_type, "base64": b64encode(file.content).decode()}
            for file in files
        ],
        "cost_credits": None if message.charged_nanos is None else credits_string(message.charged_nanos),
    }


def file_of(shown: Chat, kind: str, media_type: str, text: str) -> Response:
    """The text as a file that is called after the chat, in the script of its title."""
    name = file_name(shown.title.lower(), "chat", between="-", most=40)
    return offer_as(Response(text, content_type=f"{media_type}; charset=utf-8"), f"{name}.{kind}")
