"""budgets: of a chat, and one's own of a day, a week or a month

Revision ID: 0024
Revises: 0023
Create Date: 2026-11-28 23:30:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0024'
down_revision = '0023'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('chats', sa.Column('budget_nanos', sa.BigInteger(), nullable=True))
    op.add_column('memberships', sa.Column('own_limit_nanos', sa.BigInteger(), nullable=True))
    op.add_column('memberships', sa.Column('own_limit_period', sa.String(), server_default='month', nullable=False))


def downgrade():
    op.drop_column('memberships', 'own_limit_period')
    op.drop_column('memberships', 'own_limit_nanos')
    op.drop_column('chats', 'budget_nanos')
