"""the texts that a person sends often

Revision ID: 0050
Revises: 0049
Create Date: 2026-11-30 13:55:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0050'
down_revision = '0049'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('users', sa.Column('prompts', sa.JSON(), server_default='[]', nullable=False))


def downgrade():
    op.drop_column('users', 'prompts')
