"""deleted chats end for good, mails know their person, keys have scopes and an end

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
DUE = sa.text('erase_at IS NOT NULL')


def upgrade():
    op.add_column('chats', sa.Column('erase_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_chats_to_erase', 'chats', ['erase_at'], postgresql_where=DUE, sqlite_where=DUE)
    op.execute('UPDATE chats SET erase_at = deleted_at WHERE deleted_at IS NOT NULL')
    op.add_column('outgoing_mails', sa.Column('user_id', BIG, nullable=True))
    op.create_index(op.f('ix_outgoing_mails_user_id'), 'outgoing_mails', ['user_id'])
    op.add_column('api_keys', sa.Column('scopes', sa.String(), nullable=False, server_default='read spend buy'))
    op.add_column('api_keys', sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True))


def downgrade():
    op.drop_column('api_keys', 'expires_at')
    op.drop_column('api_keys', 'scopes')
    op.drop_index(op.f('ix_outgoing_mails_user_id'), table_name='outgoing_mails')
    op.drop_column('outgoing_mails', 'user_id')
    op.drop_index('ix_chats_to_erase', table_name='chats')
    op.drop_column('chats', 'erase_at')
