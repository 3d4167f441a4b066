"""Read-only lists: the ledger, calls, refused calls and the audit log."""

from typing import Any, ClassVar

from flask_admin.contrib.sqla.filters import FilterEqual

from app.admin.cell_formats import shown, told
from app.admin.cell_links import AccountFilter, ModelFilter
from app.admin.model_view import AdminTable
from app.models.billing.ledger import KINDS, LedgerEntry
from app.models.metering.usage import OUTCOMES, Usage
from app.models.operations.audit_log import AdminChange
from app.models.operations.refused_call import RefusedCall


class ReadOnlyTable(AdminTable):
    """Rows that are added by what happens, newest first; never counted, since there may be millions."""

    can_view_details = True
    simple_list_pager = True
    column_default_sort = ("id", True)
    column_sortable_list = ("id",)

    def title_of(self, row: Any) -> str:
        return f"{self.one.capitalize()} {row.id}"


class LedgerTable(ReadOnlyTable):
    one = "entry"
    intro = "Every balance change that isn't a model call. Rows are only added; correct a mistake with an adjustment."
    column_list = ("id", "created_at", "account_id", "kind", "allowance_nanos", "credits_nanos", "reason",
                   "actor.email")  # fmt: skip
    column_labels: ClassVar = {"actor.email": "By", "kind": "Type"}
    column_details_list = ("id", "created_at", "account_id", "kind", "key", "allowance_nanos", "credits_nanos", "month",
                           "reason", "actor.email", "payment_id", "subscription_id")  # fmt: skip
    column_formatters: ClassVar = {"kind": shown(lambda kind: KINDS.get(kind, kind))}
    column_select_related_list = (LedgerEntry.actor,)
    column_filters = (
        AccountFilter(LedgerEntry.account_id, "Account"),
        FilterEqual(LedgerEntry.kind, "Type", options=list(KINDS.items())),
    )


class UsageTable(ReadOnlyTable):
    one = "call"
    intro = "Every model call: what it used, what it cost and who paid."
    column_list = ("id", "created_at", "account_id", "model", "operation", "state", "outcome", "input_tokens", "output",
                   "cost_nanos", "paid_nanos", "absorbed_nanos")  # fmt: skip
    column_labels: ClassVar = {"input_tokens": "Input"}
    column_details_list = ("id", "created_at", "settled_at", "account_id", "user_id", "chat_id", "model", "operation",
                           "price_id", "state", "outcome", "source", "uncached_input", "cache_read", "cache_write_5m",
                           "cache_write_1h", "output", "images", "searches", "reserved_nanos", "cost_nanos",
                           "provider_nanos", "image_price_id", "allowance_paid_nanos", "credits_paid_nanos",
                           "absorbed_nanos", "raw")  # fmt: skip
    column_filters = (
        AccountFilter(Usage.account_id, "Account"),
        ModelFilter(Usage.model, "Model"),
        FilterEqual(Usage.state, "Status", options=[(s, s) for s in ("running", "settled", "released")]),
        FilterEqual(Usage.outcome, "Outcome", options=[(o, o) for o in OUTCOMES]),
    )
    figures: ClassVar = {"output"}


class ChangeTable(ReadOnlyTable):
    one = "change"
    intro = "Who changed what, when and why. This log can't be edited."
    column_list = ("id", "created_at", "actor.email", "action", "subject", "subject_id", "changes", "reason")
    column_labels: ClassVar = {
        "actor.email": "Who",
        "action": "Did",
        "subject": "Type",
        "subject_id": "Object",
    }
    column_details_list = (*column_list, "account_id")
    column_formatters: ClassVar = {"changes": shown(told)}
    column_select_related_list = (AdminChange.actor,)
    column_filters = (
        FilterEqual(AdminChange.subject, "Type"),
        FilterEqual(AdminChange.subject_id, "Object"),
        AccountFilter(AdminChange.account_id, "Account"),
    )


class RefusedCallTable(ReadOnlyTable):
    one = "refused call"
    intro = (
        "The calls that were refused in the last 90 days: what was asked for, and by which code. At most 500 of an "
        "account, a day and a code are kept."
    )
    column_list = ("id", "created_at", "account_id", "user_id", "api_key_id", "model", "input_bound",
                   "max_output_tokens", "code")  # fmt: skip
    column_labels: ClassVar = {
        "user_id": "Person", "api_key_id": "Key", "input_bound": "Maximum input",
        "max_output_tokens": "Requested output",
    }  # fmt: skip
    column_filters = (
        AccountFilter(RefusedCall.account_id, "Account"),
        ModelFilter(RefusedCall.model, "Model"),
        FilterEqual(RefusedCall.code, "Code"),
    )
    figures: ClassVar = {"input_bound"}
