"""Every table and every rule. No network, no commit, no queue: whoever began the work commits."""

from app.models.billing.auto_recharge import AutoRecharge, Recharge
from app.models.billing.call_audit import CallAudit
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.redemption import Redemption
from app.models.billing.refund import Dispute, Refund
from app.models.billing.rerating import CallCorrection, Rerating
from app.models.billing.stripe_account import FormerId, StripeAccount
from app.models.billing.subscription import Subscription
from app.models.catalog.ai_model import AIModel
from app.models.catalog.catalog_proposal import CatalogProposal
from app.models.catalog.operation import OperationRow
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.price import ModelPrice
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.provider_account import ProviderAccount
from app.models.catalog.setting import Setting
from app.models.chat.attachment import Attachment
from app.models.chat.chat import Chat, Message
from app.models.documents.document import Document, Revision
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.brand import Brand
from app.models.identity.invitation import Invitation
from app.models.identity.limit_request import LimitRequest
from app.models.identity.membership import Membership
from app.models.identity.user import MailedToken, User, UserSession
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import AccountDay, DailyTotal, KeyDay
from app.models.operations.audit_log import AdminChange
from app.models.operations.lab_run import Habit, LabRun
from app.models.operations.outbox import OutgoingMail
from app.models.operations.refused_call import RefusalCount, RefusedCall
from app.models.operations.support_request import SupportRequest
from app.models.operations.webhook_event import StripeEvent, SyncVersion
