"""models that make embeddings

Revision ID: 0028
Revises: 0027
Create Date: 2026-11-28 23:30:00.000000

"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "models", sa.Column("is_embedding", sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("models", "is_embedding")
