"""Mails by SMTP, to a server whose certificate is looked at, whether TLS begins with the connection or by STARTTLS.

`MAIL_BACKEND` names it. Python's `starttls` and Flask-Mailman's, left to themselves, take any certificate.
"""

import smtplib
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import current_app
from flask_mailman.backends import smtp


class StartTLS(smtplib.SMTP):
    """A connection that goes on by TLS under our rules, which `tls` makes once it does: plain ones need none."""

    def __init__(self, *arguments: Any, tls: Callable[[], ssl.SSLContext], **options: Any) -> None:
        self.tls = tls
        super().__init__(*arguments, **options)

    def starttls(self, *_files: Any, **_options: Any) -> Any:
        return super().starttls(context=self.tls())


class EmailBackend(smtp.EmailBackend):
    """Flask-Mailman's, with one rule for both ways into TLS."""

    @property
    def ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not current_app.config["MAIL_IS_VERIFIED"]:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    @property
    def connection_class(self) -> Any:
        return smtplib.SMTP_SSL if self.use_ssl else partial(StartTLS, tls=lambda: self.ssl_context)
