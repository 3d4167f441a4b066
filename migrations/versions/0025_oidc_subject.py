"""who a person is at the provider that signs people in

Revision ID: 0025
Revises: 0024
Create Date: 2026-11-28 23:45:00.000000

"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("oidc_subject", sa.String(), nullable=True))
        users.create_unique_constraint(op.f("uq_users_oidc_subject"), ["oidc_subject"])


def downgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.drop_constraint(op.f("uq_users_oidc_subject"), type_="unique")
        users.drop_column("oidc_subject")
