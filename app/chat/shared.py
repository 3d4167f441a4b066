"""A shared chat: readable by anyone with the link; nothing of its account, nothing that costs."""

from flask import Response, abort, make_response, render_template

from app.models.chat.attachment import Attachment
from app.models.chat.chat import Chat
from app.web.access import public
from app.web.blueprints import chat
from app.web.downloads import served
from app.web.rate_limits import by_machine

NOT_FOUND_BY_SEARCH = {"X-Robots-Tag": "noindex, nofollow"}


def chat_of(token: str) -> Chat:
    return Chat.shared_by(token) or abort(404)


@chat.get("/shared/<token>")
@public
@by_machine("60 per minute", method="GET")
def shared(token: str) -> Response:
    read = chat_of(token)
    messages = read.shared_messages()
    page = render_template("chat/shared.html", chat=read, messages=messages, files=Attachment.carried_by(messages))
    return make_response(page, NOT_FOUND_BY_SEARCH)


@chat.get("/shared/<token>/files/<attachment_id>")
@public
@by_machine("300 per minute", method="GET")
def shared_file(token: str, attachment_id: str) -> Response:
    """A file of what the link shows."""
    carried = Attachment.carried_by(chat_of(token).shared_messages())
    matching = [file for files in carried.values() for file in files if str(file.id) == attachment_id]
    response = served(matching[0]) if matching else abort(404)
    response.headers.update(NOT_FOUND_BY_SEARCH)
    return response
