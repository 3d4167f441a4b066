"""Every table and every rule. No network, no commit, no queue: whoever opened the door commits."""

from app.models.account import Account, Membership
from app.models.api_key import ApiKey
from app.models.chat import Chat, Message
from app.models.ledger import LedgerEntry
from app.models.plan import CreditPack, Plan
from app.models.price import AIModel, ModelPrice, ProviderAccount
from app.models.setting import Setting
from app.models.usage import Usage
from app.models.user import MailedToken, User, UserSession

__all__ = [
    "AIModel",
    "Account",
    "ApiKey",
    "Chat",
    "CreditPack",
    "LedgerEntry",
    "MailedToken",
    "Membership",
    "Message",
    "ModelPrice",
    "Plan",
    "ProviderAccount",
    "Setting",
    "Usage",
    "User",
    "UserSession",
]
