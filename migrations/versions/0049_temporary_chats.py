"""chats that are not listed, and deleted some days after their last message

Revision ID: 0049
Revises: 0048
Create Date: 2026-11-30 13:10:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0049'
down_revision = '0048'
branch_labels = None
depends_on = None

LIVE = sa.text('is_temporary AND deleted_at IS NULL')


def upgrade():
    op.add_column('chats', sa.Column('is_temporary', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index('ix_chats_temporary', 'chats', ['updated_at'], postgresql_where=LIVE, sqlite_where=LIVE)


def downgrade():
    op.drop_index('ix_chats_temporary', 'chats')
    op.drop_column('chats', 'is_temporary')
