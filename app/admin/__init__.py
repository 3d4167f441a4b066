"""The back office: a business model without code, for administrators alone."""

from __future__ import annotations

from flask import Flask
from flask_admin import Admin

from app.admin.accounts import AccountTable
from app.admin.dashboard import Dashboard
from app.admin.doors import init_doors
from app.admin.events import EventTable, MailTable, PaymentTable
from app.admin.models import ModelTable, ProviderTable
from app.admin.plans import PackTable, PlanTable
from app.admin.prices import PriceTable
from app.admin.queues import QueuePage
from app.admin.records import ChangeTable, LedgerTable, UsageTable
from app.admin.registry import RegistryPage
from app.admin.settings import SettingPage
from app.admin.two_factor import TwoFactorPage
from app.admin.users import UserTable
from app.models.account import Account
from app.models.admin_change import AdminChange
from app.models.ledger import LedgerEntry
from app.models.mail import OutgoingMail
from app.models.payment import Payment
from app.models.plan import CreditPack, Plan
from app.models.price import AIModel, ModelPrice, ProviderAccount
from app.models.stripe_event import StripeEvent
from app.models.usage import Usage
from app.models.user import User


def init_app(app: Flask) -> None:
    """Bind the back office to the application."""
    init_doors(app)
    admin = Admin(
        app, name="Back office", index_view=Dashboard(name="Overview", url="/admin", endpoint="admin")
    )
    admin.add_view(PlanTable(Plan, "Plans", endpoint="plan", category="Sell"))
    admin.add_view(PackTable(CreditPack, "Packs", endpoint="pack", category="Sell"))
    admin.add_view(PriceTable(ModelPrice, "Price list", endpoint="price", category="Models"))
    admin.add_view(RegistryPage(name="Registry's prices", endpoint="registry", category="Models"))
    admin.add_view(ModelTable(AIModel, "Models", endpoint="model", category="Models"))
    admin.add_view(ProviderTable(ProviderAccount, "Providers", endpoint="provider", category="Models"))
    admin.add_view(AccountTable(Account, "Accounts", endpoint="account", category="Customers"))
    admin.add_view(UserTable(User, "People", endpoint="user", category="Customers"))
    admin.add_view(LedgerTable(LedgerEntry, "Ledger", endpoint="ledger", category="Customers"))
    admin.add_view(UsageTable(Usage, "Calls", endpoint="usage", category="Customers"))
    admin.add_view(PaymentTable(Payment, "Payments", endpoint="payment", category="Customers"))
    admin.add_view(EventTable(StripeEvent, "Stripe events", endpoint="event", category="House"))
    admin.add_view(QueuePage(name="Jobs", endpoint="queue", category="House"))
    admin.add_view(MailTable(OutgoingMail, "Mails", endpoint="mail", category="House"))
    admin.add_view(SettingPage(name="Settings", endpoint="setting", category="House"))
    admin.add_view(
        TwoFactorPage(name="Second factor", endpoint="two_factor", url="two-factor", category="House")
    )
    admin.add_view(ChangeTable(AdminChange, "Changes", endpoint="change", category="House"))
