"""what customers ask the support

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-28 20:00:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
OPEN = sa.text('answered_at IS NULL')


def upgrade():
    op.create_table('support_requests',
    sa.Column('account_id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('usage_id', ID, nullable=True),
    sa.Column('message', sa.String(), nullable=False),
    sa.Column('is_priority', sa.Boolean(), nullable=False),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_support_requests_account_id_accounts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['usage_id'], ['usages.id'], name=op.f('fk_support_requests_usage_id_usages'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_support_requests_user_id_users'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_support_requests'))
    )
    op.create_index(op.f('ix_support_requests_account_id'), 'support_requests', ['account_id'])
    op.create_index(op.f('ix_support_requests_user_id'), 'support_requests', ['user_id'])
    op.create_index('ix_support_requests_open', 'support_requests', ['created_at'], postgresql_where=OPEN, sqlite_where=OPEN)


def downgrade():
    op.drop_table('support_requests')
