"""the price at which the plan that follows was scheduled

Revision ID: 0047
Revises: 0046
Create Date: 2026-11-30 09:35:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0047'
down_revision = '0046'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('subscriptions', sa.Column('pending_price_cents', sa.Integer(), nullable=True))


def downgrade():
    op.drop_column('subscriptions', 'pending_price_cents')
