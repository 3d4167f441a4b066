"""indexes for an account's images and for its calls that were released, which no page goes over all calls for

Revision ID: 0037
Revises: 0036
Create Date: 2026-11-29 04:45:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0037'
down_revision = '0036'
branch_labels = None
depends_on = None

WHERE = {
    'ix_usages_account_images': "image_price_id IS NOT NULL",
    'ix_usages_account_released': "state = 'released'",
}


def upgrade():
    for name, where in WHERE.items():
        op.create_index(name, 'usages', ['account_id', 'created_at'],
                        postgresql_where=sa.text(where), sqlite_where=sa.text(where))


def downgrade():
    for name in WHERE:
        op.drop_index(name, table_name='usages')
