"""which images a refused call asked for

Revision ID: 0040
Revises: 0039
Create Date: 2026-11-29 07:40:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0040'
down_revision = '0039'
branch_labels = None
depends_on = None
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.add_column('refused_calls', sa.Column("image_price_id", ID, nullable=True))


def downgrade():
    op.drop_column('refused_calls', 'image_price_id')
