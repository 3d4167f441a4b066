"""Idempotency keys: the first answer, good or bad, is the answer for 24 hours."""

from sandbox.errors import StripeError
from sandbox.store import Thing
from sandbox.world import Sandbox

KEPT_FOR = 24 * 3600
Answered = tuple[int, Thing]


def is_kept(status: int) -> bool:
    """What failed validation, was not found or came too fast has not begun, and may be tried again under its key."""
    return status not in (400, 401, 404, 409, 429)


class Keys:
    """Kept in the sandbox's store under kind `idempotency_key`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def recall(self, name: str, print_of: str) -> Answered | None:
        kept: Thing | None = self.sandbox.store.find("idempotency_key", name)
        if kept is None or kept["created"] < self.sandbox.now - KEPT_FOR:
            return None
        if kept["print"] != print_of:
            message = (
                f"Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{name}' if you meant to execute a different request."
            )
            raise StripeError(400, "idempotency_error", message)
        return kept["status"], kept["body"]

    def keep(self, name: str, print_of: str, answered: Answered) -> None:
        entry = {"id": name, "print": print_of, "status": answered[0], "body": answered[1]}
        self.sandbox.store.add("idempotency_key", {**entry, "created": self.sandbox.now})
