"""what the lab keeps; the plan that a call, a refusal and a refill were on

Revision ID: 0022
Revises: 0021
Create Date: 2026-11-28 23:30:00.000000

"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WITH_PLAN = "usages", "refused_calls", "ledger_entries"
COUNTS = "people", "calls_per_day", "input_tokens", "output_tokens"


def refers(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{target}")
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete="RESTRICT")


def upgrade() -> None:
    for table in WITH_PLAN:
        op.add_column(table, sa.Column("plan_id", ID, nullable=True))
    op.create_table(
        "lab_runs",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("by_id", ID, nullable=True),
        sa.Column("scenario", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("accounts", sa.BigInteger(), nullable=False),
        sa.Column("accounts_done", sa.BigInteger(), nullable=False),
        sa.Column("last_account_id", ID, nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'cancelled', 'failed')",
            name=op.f("ck_lab_runs_state_known"),
        ),
        refers("lab_runs", "by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lab_runs")),
    )
    op.create_table(
        "habits",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("plan_id", ID, nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
        sa.Column("pack_id", ID, nullable=True),
        sa.Column("buys_bps", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_habits_{name}_not_negative")) for name in COUNTS),
        sa.CheckConstraint("buys_bps >= 0 AND buys_bps <= 10000", name=op.f("ck_habits_buys_in_range")),
        refers("habits", "plan_id", "plans"),
        refers("habits", "pack_id", "packs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_habits")),
        sa.UniqueConstraint("name", name=op.f("uq_habits_name")),
    )


def downgrade() -> None:
    op.drop_table("habits")
    op.drop_table("lab_runs")
    for table in WITH_PLAN:
        op.drop_column(table, "plan_id")
