"""The mails of a development machine, as pages: `/dev/mail`. Nowhere else."""

from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from flask import Response, abort, current_app, render_template

from app.web.access import public
from app.web.blueprints import auth

RULE = b"-" * 79
MOST = 100
ALONE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-top-navigation-by-user-activation"
"""The policy of a mail that is opened by itself: nothing runs, nothing is loaded."""


@dataclass(frozen=True, slots=True)
class WrittenMail:
    """A mail as the file backend wrote it: the headers that matter, and its plain text."""

    subject: str
    to: str
    date: str
    text: str
    html: str

    @classmethod
    def read(cls, written: bytes) -> "WrittenMail":
        message = message_from_bytes(written, _class=EmailMessage, policy=default)
        plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
        subject, to, date = (str(message[name] or "") for name in ("Subject", "To", "Date"))
        texts = (body.get_content() if body else "" for body in (plain, html))
        return cls(subject, to, date, *texts)


@auth.get("/dev/mail")
@public
def written_mails() -> str:
    """The newest mails first."""
    return render_template("dev_mail.html", mails=newest_mails())


@auth.get("/dev/mail/<int:number>")
@public
def written_mail(number: int) -> Response:
    """The HTML of a mail, as a mailbox draws it: `number` counts from the newest."""
    mails = newest_mails()
    if not number < len(mails):
        abort(404)
    response = Response(mails[number].html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = ALONE
    return response


def newest_mails() -> list[WrittenMail]:
    if current_app.config["APP_ENV"] != "development" or "MAIL_FILE_PATH" not in current_app.config:
        abort(404)
    files = sorted(Path(current_app.config["MAIL_FILE_PATH"]).glob("*.log"), key=lambda file: -file.stat().st_mtime)
    parts = (part.strip() for file in files[:MOST] for part in reversed(file.read_bytes().split(RULE)))
    return [WrittenMail.read(part) for part in parts if part]
