"""Files over JSON: put one up to be sent with a question, read it again."""

from __future__ import annotations

import base64
from typing import Any

from flask import Response
from flask_login import current_user

from app.api.blueprint import api, body, or_404, text_field
from app.api.rate_limits import limited_sends
from app.api.schemas import COUNT, FILES, TEXT, WHOLE, Schema, array, described, or_null, shape, taken
from app.extensions import db
from app.models.chat.attachment import MOST_OF_A_MESSAGE, Attachment
from app.models.metering.refusal import InvalidRequest

ATTACHMENT = shape(
    "Attachment",
    id=TEXT,
    name=TEXT,
    media_type=TEXT,
    bytes=COUNT,
    width=or_null(WHOLE),
    height=or_null(WHOLE),
)
IN_BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
SENT_WITH: Schema = array(TEXT) | {
    "maxItems": MOST_OF_A_MESSAGE,
    "description": "Ids of files from `POST /api/attachments`, which go with this question.",
}
ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The policy of a file that is opened by itself: nothing runs, nothing is loaded."""


@api.post("/attachments")
@limited_sends
@described(
    "Put up an image (PNG, JPEG, WebP, GIF) or a text file, to be sent with a question within a day",
    ATTACHMENT,
    status=201,
    body=taken("File", "name", "data", name=TEXT, data=IN_BASE64),
)
def attach() -> tuple[dict[str, Any], int]:
    sent = body()
    name = text_field(sent, "name", required=True, most=1000) or ""
    try:
        lines = (text_field(sent, "data", required=True) or "").split()
        content = base64.b64decode("".join(lines), validate=True)
    except ValueError:
        raise InvalidRequest({"data": ["is not base64."]}) from None
    kept = Attachment.keep(current_user, name, content)
    db.session.commit()
    return shown_attachment(kept), 201


@api.get("/attachments/<attachment_id>")
@described("A file as it was put up; its media type is what its bytes are", TEXT, kind=FILES)
def read_attachment(attachment_id: str) -> Response:
    own = {"account_id": current_user.account_id, "user_id": current_user.user_id}
    kept = or_404(Attachment.find(attachment_id, **own))
    response = Response(kept.content, content_type=kept.media_type)
    response.headers["Content-Security-Policy"] = ALONE
    if not kept.is_image:
        response.content_type = f"{kept.media_type}; charset=utf-8"
        response.headers.set("Content-Disposition", "attachment", filename=kept.name)
    return response


def shown_attachment(kept: Attachment) -> dict[str, Any]:
    size = {"bytes": kept.size, "width": kept.width, "height": kept.height}
    return {"id": str(kept.id), "name": kept.name, "media_type": kept.media_type, **size}


def files_field(sent: dict[str, Any]) -> tuple[int, ...]:
    """The ids of `attachments`, each once. InvalidRequest for too many, or for anything but a list of ids."""
    value = sent.get("attachments")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(map(is_id, value)):
        raise InvalidRequest({"attachments": ["must be a list of ids of files."]})
    if len(value) > MOST_OF_A_MESSAGE:
        raise InvalidRequest(
            {"attachments": [f"are more than {MOST_OF_A_MESSAGE}; send them in several messages."]}
        )
    return tuple(dict.fromkeys(map(int, value)))


def is_id(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18
