"""A chat begins: with its first message, as one accepted step, or empty, for a program."""

from typing import Annotated, Any

from flask import Response
from flask_login import current_user
from pydantic import Field

from app.api.blueprint import api
from app.api.bodies import Body, Count, Credits, Filled, Flag, Identifier, Text
from app.api.calls import ONCE, Limits, call_options
from app.api.chats import CHAT, Folder, Title, default_model, shown_chat, wants_title
from app.api.messages import Files, begin_once, with_files
from app.api.rate_limits import first_sends, guests_chats
from app.api.schemas import EVENTS, described
from app.extensions import db
from app.generation.conversation import Conversation
from app.generation.generation import Generation
from app.generation.send import ask
from app.models.chat.chat import MOST_OUTPUT_TOKENS, TEMPORARY_TITLE, Chat, checked_instructions, folder_name
from app.models.metering.reservation import admit
from app.web.access import for_guests_too, own_document
from app.web.gate import requires_tokens, says_remaining


class ChatSettings(Body):
    """What is the chat's own from its beginning on."""

    system_prompt: Text = ""
    max_output_tokens: Annotated[Count, Field(le=MOST_OUTPUT_TOKENS)] | None = None
    budget_credits: Credits | None = None
    folder: Folder = ""
    is_temporary: Annotated[Flag, Field(description="true: in no list, no title, and deleted soon.")] = False
    document_id: (
        Annotated[Identifier, Field(description="The document whose text goes along with every message.")] | None
    ) = None


class NewChat(ChatSettings, Limits):
    """With `content` the chat begins with that message, and the answer is its event stream."""

    title: Title = ""
    write_title: Flag | None = None
    content: Filled | None = None
    attachments: Files = Field(default_factory=list)


@api.post("/chats")
@for_guests_too
@guests_chats
@first_sends
@says_remaining("chats")
@requires_tokens
@described(
    "Create a chat; with `content`, send its first message in the same step (a refusal creates no chat)",
    CHAT,
    status=(200, 201),
    body=NewChat,
    headers=ONCE,
    also_as=EVENTS,
)
def start_chat() -> tuple[dict[str, Any], int] | Response:
    sent = NewChat.read()
    if sent.content is None:
        chat = begun(sent)
        db.session.commit()
        return shown_chat(chat), 201
    content, options = sent.content, with_files(sent, call_options(sent, sent.model or default_model()))

    def begin() -> Generation:
        return ask(current_user, Conversation(begun(sent)), content, options)

    return begin_once(options, begin)


def begun(sent: NewChat) -> Chat:
    """The new chat, not yet committed: a refusal of its first message undoes it."""
    model = sent.model or default_model()
    admit(current_user, model)
    chat = Chat(**current_user.owns, title=sent.title, model=model)
    chat.wants_title = not sent.title and wants_title(sent.write_title)
    chat.system_prompt = checked_instructions(sent.system_prompt)
    chat.max_output_tokens = sent.max_output_tokens
    chat.budget_nanos, chat.folder = sent.budget_credits or None, folder_name(sent.folder)
    if sent.is_temporary:
        chat.is_temporary, chat.wants_title, chat.title, chat.folder = True, False, TEMPORARY_TITLE, None
    chat.document_id = own_document(sent.document_id).id if sent.document_id else None
    db.session.add(chat)
    db.session.flush()
    return chat
