"""what providers say beside the tokens, and how they are to be asked

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-28 20:00:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

COLUMNS = {
    'usages': [
        sa.Column('finish_reason', sa.String(), nullable=True),
        sa.Column('answered_model', sa.String(), nullable=True),
        sa.Column('service_tier', sa.String(), nullable=True),
        sa.Column('billed_nanos', sa.BigInteger(), nullable=True),
        sa.Column('unpriced_pieces', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('left_out', sa.Integer(), nullable=False, server_default='0'),
        sa.Column('is_via_gateway', sa.Boolean(), nullable=False, server_default=sa.false()),
    ],
    'messages': [sa.Column('is_refused', sa.Boolean(), nullable=False, server_default=sa.false())],
    'providers': [
        sa.Column('service_tier', sa.String(), nullable=True),
        sa.Column('limit_name', sa.String(), nullable=True),
        sa.Column('is_gateway', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column('reports_running', sa.Boolean(), nullable=False, server_default=sa.false()),
    ],
    'models': [
        sa.Column('extra_input_tokens', sa.Integer(), nullable=True),
        sa.Column('limit_name', sa.String(), nullable=True),
    ],
}
TIERS = {'OpenAI': 'default', 'Anthropic': 'standard_only'}


def upgrade():
    for table, columns in COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    providers = sa.table('providers', sa.column('name'), sa.column('service_tier'))
    for name, tier in TIERS.items():
        op.execute(providers.update().where(providers.c.name == name).values(service_tier=tier))


def downgrade():
    for table, columns in COLUMNS.items():
        for column in reversed(columns):
            op.execute(f'ALTER TABLE {table} DROP COLUMN {column.name}')
