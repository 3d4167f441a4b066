"""links to chats

Revision ID: 0033
Revises: 0032
Create Date: 2026-11-29 02:40:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0033'
down_revision = '0032'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.add_column('chats', sa.Column('share_token', sa.String(), nullable=True))
    op.add_column('chats', sa.Column('shared_leaf_id', ID, nullable=True))
    op.add_column('chats', sa.Column('shared_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_chats_share_token', 'chats', ['share_token'], unique=True)


def downgrade():
    op.drop_index('ix_chats_share_token', table_name='chats')
    op.drop_column('chats', 'shared_at')
    op.drop_column('chats', 'shared_leaf_id')
    op.drop_column('chats', 'share_token')
