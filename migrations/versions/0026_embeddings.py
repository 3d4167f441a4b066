"""models that make embeddings

Revision ID: 0026
Revises: 0025
Create Date: 2026-11-28 23:30:00.000000

"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "models", sa.Column("is_embedding", sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("models", "is_embedding")
