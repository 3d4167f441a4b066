"""what the calls of a key came to, by day

Revision ID: 0051
Revises: 0050
Create Date: 2026-11-30 14:15:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0051'
down_revision = '0050'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'key_days',
        sa.Column('api_key_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
        sa.Column('account_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
        sa.Column('day', sa.Date(), nullable=False),
        sa.Column('paid_nanos', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('api_key_id', 'account_id', 'day', name=op.f('pk_key_days')),
    )


def downgrade():
    op.drop_table('key_days')
    op.execute("DELETE FROM settings WHERE key = 'key_totals_until'")
