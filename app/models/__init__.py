"""Every table and every rule. No network, no commit, no queue: whoever opened the door commits."""

from app.models.account import Account
from app.models.admin_change import AdminChange
from app.models.api_key import ApiKey
from app.models.attachment import Attachment
from app.models.chat import Chat, Message
from app.models.daily_total import AccountDay, DailyTotal, Watermark
from app.models.invitation import Invitation
from app.models.ledger import LedgerEntry
from app.models.mail import OutgoingMail
from app.models.membership import Membership
from app.models.payment import Payment
from app.models.plan import CreditPack, Plan
from app.models.price import AIModel, ModelPrice, ProviderAccount
from app.models.recharge import AutoRecharge, Recharge
from app.models.refusal_count import RefusalCount
from app.models.second_factor import RecoveryCode
from app.models.setting import Setting
from app.models.stripe_event import Sighting, StripeEvent
from app.models.subscription import Subscription
from app.models.taking_back import Dispute, Refund
from app.models.usage import Usage
from app.models.user import MailedToken, User, UserSession

__all__ = [
    "AIModel",
    "Account",
    "AccountDay",
    "AdminChange",
    "ApiKey",
    "Attachment",
    "AutoRecharge",
    "Chat",
    "CreditPack",
    "DailyTotal",
    "Dispute",
    "Invitation",
    "LedgerEntry",
    "MailedToken",
    "Membership",
    "Message",
    "ModelPrice",
    "OutgoingMail",
    "Payment",
    "Plan",
    "ProviderAccount",
    "Recharge",
    "RecoveryCode",
    "Refund",
    "RefusalCount",
    "Setting",
    "Sighting",
    "StripeEvent",
    "Subscription",
    "Usage",
    "User",
    "UserSession",
    "Watermark",
]
