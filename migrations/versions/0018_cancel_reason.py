"""why a subscription was cancelled

Revision ID: 0018
Revises: 0017
Create Date: 2026-11-28 20:35:00.000000

"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscriptions", sa.Column("cancel_reason", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("subscriptions", "cancel_reason")
