"""purchases remember the key of their request

Revision ID: 0017
Revises: 0016
Create Date: 2026-11-28 20:40:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade():
    for table in ('payments', 'subscriptions'):
        op.add_column(table, sa.Column('request_key', sa.String(), nullable=True))


def downgrade():
    for table in ('subscriptions', 'payments'):
        op.drop_column(table, 'request_key')
