"""prices that were wrong, and the calls that were corrected

Revision ID: 0020
Revises: 0019
Create Date: 2026-11-28 23:05:00.000000

"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KINDS = (
    "refill", "debt_repaid", "plan_change", "trial", "allowance_ended", "welcome", "purchase", "recharge",
    "refund", "refund_failed", "dispute", "dispute_won", "grant", "adjustment",
)  # fmt: skip
FIGURES = "paid_nanos", "cost_nanos", "returned_nanos", "absorbed_nanos"


def upgrade() -> None:
    of_ledger(("correction", *KINDS))
    op.create_table(
        "reratings",
        sa.Column("id", ID, nullable=False),
        sa.Column("price_id", ID, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by_id", ID, nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("preview", sa.JSON(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("since < until", name=op.f("ck_reratings_since_before_until")),
        sa.CheckConstraint(
            "state IN ('new', 'previewed', 'applying', 'done')", name=op.f("ck_reratings_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["users.id"], name=op.f("fk_reratings_by_id_users"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["price_id"], ["model_prices.id"], name=op.f("fk_reratings_price_id_model_prices"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reratings")),
    )
    op.create_table(
        "call_corrections",
        sa.Column("rerating_id", ID, nullable=False),
        sa.Column("call_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in FIGURES),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_call_corrections_{name}_not_negative"))
            for name in FIGURES
        ),
        sa.CheckConstraint(
            "returned_nanos <= paid_nanos", name=op.f("ck_call_corrections_returned_was_paid")
        ),
        sa.PrimaryKeyConstraint("rerating_id", "call_id", name=op.f("pk_call_corrections")),
    )
    op.create_index("ix_call_corrections_call", "call_corrections", ["call_id"])


def downgrade() -> None:
    """What came back stays: its entries become grants."""
    op.drop_table("call_corrections")
    op.drop_table("reratings")
    op.execute("UPDATE ledger_entries SET kind = 'grant' WHERE kind = 'correction'")
    of_ledger(KINDS)


def of_ledger(kinds: tuple[str, ...]) -> None:
    """Let the ledger have these kinds of entries."""
    allowed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("ledger_entries") as batch_op:
        batch_op.drop_constraint(op.f("ck_ledger_entries_kind_known"), type_="check")
        batch_op.create_check_constraint(op.f("ck_ledger_entries_kind_known"), f"kind IN ({allowed})")
