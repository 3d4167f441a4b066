"""keys have limits of their own

Revision ID: 0015
Revises: 0014
Create Date: 2026-11-28 20:30:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None

BY_KEY = sa.text('api_key_id IS NOT NULL')
COLUMNS = ('monthly_limit_nanos', 'total_limit_nanos', 'models')


def upgrade():
    op.add_column('api_keys', sa.Column('monthly_limit_nanos', sa.BigInteger(), nullable=True))
    op.add_column('api_keys', sa.Column('total_limit_nanos', sa.BigInteger(), nullable=True))
    op.add_column('api_keys', sa.Column('models', sa.JSON(), server_default='[]', nullable=False))
    op.create_index('ix_usages_key', 'usages', ['api_key_id', 'day'], postgresql_where=BY_KEY, sqlite_where=BY_KEY)


def downgrade():
    op.drop_index('ix_usages_key', table_name='usages', postgresql_where=BY_KEY, sqlite_where=BY_KEY)
    for name in COLUMNS:
        op.drop_column('api_keys', name)
