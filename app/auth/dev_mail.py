"""The mails of a development machine, as pages: `/dev/mail`. Nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from flask import abort, current_app, render_template

from app.auth.blueprint import auth
from app.web.access import public

RULE = b"-" * 79
MOST = 100


@dataclass(frozen=True, slots=True)
class WrittenMail:
    """A mail as the file backend wrote it: the headers that matter, and its plain text."""

    subject: str
    to: str
    date: str
    text: str

    @classmethod
    def read(cls, written: bytes) -> WrittenMail:
        message = message_from_bytes(written, _class=EmailMessage, policy=default)
        body = message.get_body(("plain",))
        subject, to, date = (str(message[name] or "") for name in ("Subject", "To", "Date"))
        return cls(subject, to, date, body.get_content() if body else "")


@auth.get("/dev/mail")
@public
def written_mails() -> str:
    """The newest mails first."""
    if current_app.config["APP_ENV"] != "development" or "MAIL_FILE_PATH" not in current_app.config:
        abort(404)
    files = sorted(
        Path(current_app.config["MAIL_FILE_PATH"]).glob("*.log"), key=lambda file: -file.stat().st_mtime
    )
    parts = (part.strip() for file in files[:MOST] for part in reversed(file.read_bytes().split(RULE)))
    return render_template("dev_mail.html", mails=[WrittenMail.read(part) for part in parts if part])
