"""Encrypts stored secrets, such as an authenticator's, with a key derived from SECRET_KEY."""

import base64

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app


def cipher(use: str) -> Fernet:
    """The key of one use: what is sealed for it opens for nothing else."""
    derived = HKDF(SHA256(), length=32, salt=None, info=use.encode())
    return Fernet(base64.urlsafe_b64encode(derived.derive(current_app.config["SECRET_KEY"].encode())))
