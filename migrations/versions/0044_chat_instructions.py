"""what a person's new chats begin with

Revision ID: 0044
Revises: 0043
Create Date: 2026-11-30 03:40:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0044'
down_revision = '0043'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('users', sa.Column('chat_instructions', sa.String(), server_default='', nullable=False))


def downgrade():
    op.drop_column('users', 'chat_instructions')
