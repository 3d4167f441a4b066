"""invoices' totals, daily limits that came with an allowance, notes on subscriptions

Revision ID: 0013
Revises: 0012
Create Date: 2026-11-28 20:00:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('payments', sa.Column('total_cents', sa.Integer(), server_default='0', nullable=False))
    op.add_column('subscriptions', sa.Column('review_note', sa.String(), server_default='', nullable=False))
    op.add_column('accounts', sa.Column('daily_limit_nanos', sa.BigInteger(), nullable=True))
    # What was paid is the best that is known of what was asked; the limit is that of the plan of now.
    op.execute('UPDATE payments SET total_cents = price_cents')
    op.execute('UPDATE accounts SET daily_limit_nanos = '
               '(SELECT plans.daily_limit_nanos FROM plans WHERE plans.id = accounts.plan_id)')


def downgrade():
    op.drop_column('accounts', 'daily_limit_nanos')
    op.drop_column('subscriptions', 'review_note')
    op.drop_column('payments', 'total_cents')
