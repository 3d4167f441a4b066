"""The admin: a business model without code, for admins alone."""

from flask import Flask
from flask_admin import Admin, BaseView

from app.admin.access import init_doors
from app.admin.accounts import AccountTable
from app.admin.ai_models import ModelTable, ProviderTable
from app.admin.brand import BrandPage
from app.admin.dashboard import Dashboard
from app.admin.image_prices import ImagePriceTable
from app.admin.job_queue import QueuePage
from app.admin.lab import HabitTable, LabPage
from app.admin.ledger_views import ChangeTable, LedgerTable, RefusedCallTable, UsageTable
from app.admin.operations import OperationTable
from app.admin.outgoing_webhooks import WebhookPage
from app.admin.payments_and_events import EventTable, MailTable, PaymentTable
from app.admin.plans import PackTable, PlanTable
from app.admin.price_review import RegistryPage
from app.admin.prices import PriceTable
from app.admin.promotion_codes import CodeTable
from app.admin.provider_reports import ReportPage
from app.admin.rerating import ReratingPage
from app.admin.search import SearchPage
from app.admin.settings import SettingPage
from app.admin.support_requests import SupportTable
from app.admin.two_factor import TwoFactorPage
from app.admin.users import UserTable
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.operation import OperationRow
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.price import ModelPrice
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.provider_account import ProviderAccount
from app.models.identity.account import Account
from app.models.identity.user import User
from app.models.metering.usage import Usage
from app.models.operations.audit_log import AdminChange
from app.models.operations.lab_run import Habit
from app.models.operations.outbox import OutgoingMail
from app.models.operations.refused_call import RefusedCall
from app.models.operations.support_request import SupportRequest
from app.models.operations.webhook_event import StripeEvent


def init_app(app: Flask) -> None:
    """Bind the admin to the application."""
    init_doors(app)
    index = Dashboard(name="Overview", url="/admin", endpoint="admin")
    admin = Admin(app, name="Admin", index_view=index)
    for category, views in menu().items():
        for view in views:
            view.category = category
            admin.add_view(view)


def menu() -> dict[str, list[BaseView]]:
    """The views by the heading that they stand under."""
    return {
        "Sell": [
            PlanTable(Plan, "Plans", endpoint="plan"),
            PackTable(CreditPack, "Packs", endpoint="pack"),
            CodeTable(PromotionCode, "Codes", endpoint="code"),
            LabPage(name="Lab", endpoint="lab"),
            HabitTable(Habit, "User kinds", endpoint="habit"),
        ],
        "Models": [
            PriceTable(ModelPrice, "Price list", endpoint="price"),
            ImagePriceTable(ImagePrice, "Image prices", endpoint="image-price"),
            RegistryPage(name="Price updates", endpoint="registry"),
            ReratingPage(name="Wrong prices", endpoint="rerating"),
            ModelTable(AIModel, "Models", endpoint="model"),
            ProviderTable(ProviderAccount, "Providers", endpoint="provider"),
            ReportPage(name="Providers' reports", endpoint="reports"),
            OperationTable(OperationRow, "Operations", endpoint="operation"),
        ],
        "Customers": [
            AccountTable(Account, "Accounts", endpoint="account"),
            UserTable(User, "People", endpoint="user"),
            LedgerTable(LedgerEntry, "Ledger", endpoint="ledger"),
            UsageTable(Usage, "Calls", endpoint="usage"),
            RefusedCallTable(RefusedCall, "Refused calls", endpoint="refused-call"),
            PaymentTable(Payment, "Payments", endpoint="payment"),
            SupportTable(SupportRequest, "Support requests", endpoint="support"),
        ],
        "System": system_pages(),
    }


def system_pages() -> list[BaseView]:
    """What the installation itself does, and how it is set."""
    return [
        EventTable(StripeEvent, "Stripe events", endpoint="event"),
        SearchPage(name="Search", endpoint="search"),
        QueuePage(name="Jobs", endpoint="queue"),
        MailTable(OutgoingMail, "Emails", endpoint="mail"),
        WebhookPage(name="Webhooks", endpoint="outgoing_webhook", url="webhooks"),
        SettingPage(name="Settings", endpoint="setting"),
        BrandPage(name="Brand", endpoint="brand"),
        TwoFactorPage(name="Two-factor sign-in", endpoint="two_factor", url="two-factor"),
        ChangeTable(AdminChange, "Audit log", endpoint="change"),
    ]
