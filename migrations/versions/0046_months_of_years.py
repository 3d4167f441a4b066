"""what each payment gives of a month: a year's, and those of its upgrades

Revision ID: 0046
Revises: 0045
Create Date: 2026-11-30 07:20:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0046'
down_revision = '0045'
branch_labels = None
depends_on = None

RUNNING = """
UPDATE payments SET monthly_nanos = (SELECT allowance_nanos FROM subscriptions WHERE subscriptions.id = payments.subscription_id)
WHERE state = 'paid' AND period_start = (
    SELECT max(others.period_start) FROM payments AS others
    WHERE others.subscription_id = payments.subscription_id AND others.state = 'paid')
"""


def upgrade():
    op.add_column('payments', sa.Column('monthly_nanos', sa.BigInteger(), server_default='0', nullable=False))
    op.execute(RUNNING)


def downgrade():
    op.drop_column('payments', 'monthly_nanos')
