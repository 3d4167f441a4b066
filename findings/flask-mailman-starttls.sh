#!/bin/sh
# Flask-Mailman 1.1.1, told MAIL_USE_TLS, hands its password to any server: smtplib's starttls() without a context looks at
# no certificate, and Flask-Mailman gives it none. With MAIL_USE_SSL the same server is refused.
# Needs Python, openssl and a package index. Fails once it verifies both ways.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flask-mailman==1.1.1 aiosmtpd==1.4.6
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=nobody -out "$folder/cert.pem" -keyout "$folder/key.pem" 2>/dev/null
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import ssl

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from flask import Flask
from flask_mailman import EmailMessage, Mail

told = []
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("cert.pem", "key.pem")


def knows(_server, _session, _envelope, _kind, login):
    told.append(login.password.decode())
    return AuthResult(success=True)


def sent(port, tls, **settings):
    server = Controller(object(), hostname="127.0.0.1", port=port, authenticator=knows, **tls)
    server.start()
    app = Flask(__name__)
    app.config |= {"MAIL_BACKEND": "smtp", "MAIL_SERVER": "127.0.0.1", "MAIL_PORT": port, "MAIL_TIMEOUT": 5}
    app.config |= {"MAIL_USERNAME": "ada", "MAIL_PASSWORD": "secret", **settings}
    Mail(app)
    told.clear()
    with app.app_context():
        try:
            EmailMessage("s", "b", "a@example.com", ["b@example.com"]).send()
        except ssl.SSLError as error:
            print(sorted(settings), type(error).__name__)
    server.stop()
    print(sorted(settings), "password told:", told)
    return list(told)


assert sent(18465, {"ssl_context": context, "auth_require_tls": False}, MAIL_USE_SSL=True) == []
assert sent(18587, {"tls_context": context, "require_starttls": True}, MAIL_USE_TLS=True) == ["secret"]
PYTHON
