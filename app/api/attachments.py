"""Files over JSON: put one up to be sent with a question, read it again."""

import base64
from typing import Annotated, Any

from flask import Response
from flask_login import current_user
from pydantic import Field

from app.api.blueprint import answer_of, api, or_404
from app.api.bodies import Body, Filled
from app.api.rate_limits import limited_sends
from app.api.schemas import COUNT, FILES, TEXT, WHOLE, described, or_null, shape
from app.extensions import db
from app.models.chat.attachment import Attachment
from app.models.metering.refusal import Conflict, InvalidRequest
from app.web.downloads import served

ATTACHMENT = shape(
    "Attachment",
    id=TEXT,
    url=TEXT,
    name=TEXT,
    media_type=TEXT,
    bytes=COUNT,
    width=or_null(WHOLE),
    height=or_null(WHOLE),
    excerpt=or_null(TEXT)
    | {"description": "Which part of a longer file the text is, such as: the first 40 of 120 pages."},
)


class NewAttachment(Body):
    name: Annotated[Filled, Field(max_length=1000)]
    data: Annotated[Filled, Field(json_schema_extra={"contentEncoding": "base64"})]


@api.post("/attachments")
@limited_sends
@described(
    "Upload an image (PNG, JPEG, WebP, GIF), a text file, or a PDF, DOCX, XLSX or PPTX, whose text is kept; "
    "send it with a message within a day",
    ATTACHMENT,
    status=201,
    body=NewAttachment,
)
def attach() -> tuple[dict[str, Any], int]:
    sent = NewAttachment.read()
    try:
        content = base64.b64decode("".join(sent.data.split()), validate=True)
    except ValueError:
        raise InvalidRequest({"data": ["is not base64."]}) from None
    kept = Attachment.keep(current_user, sent.name, content)
    db.session.commit()
    return shown_attachment(kept), 201


@api.delete("/attachments/<attachment_id>")
@described("Delete a generated image or an unsent file; its cost stays in the usage", status=204)
def delete_attachment(attachment_id: str) -> tuple[str, int]:
    kept = or_404(Attachment.find(attachment_id, **current_user.own))
    if kept.call_id is None and kept.message_id is not None:
        raise Conflict("attachment_sent")
    db.session.delete(kept)
    db.session.commit()
    return "", 204


@api.get("/attachments/<attachment_id>")
@described("Get a file as it was uploaded, with the media type of its bytes", TEXT, kind=FILES)
def read_attachment(attachment_id: str) -> Response:
    return served(or_404(Attachment.find(attachment_id, **current_user.own)))


def shown_attachment(kept: Attachment) -> dict[str, Any]:
    return answer_of(ATTACHMENT, kept, url=f"/api/attachments/{kept.id}", bytes=kept.size)
