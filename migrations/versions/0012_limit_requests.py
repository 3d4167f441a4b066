"""members ask for more than their limit

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-28 20:20:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
IS_OPEN = sa.text("state = 'open'")


def upgrade():
    op.add_column('memberships', sa.Column('extra_nanos', sa.BigInteger(), nullable=False, server_default='0'))
    op.add_column('memberships', sa.Column('extra_until', sa.Date(), nullable=True))
    op.create_table('limit_requests',
    sa.Column('account_id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('amount_nanos', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('decided_by_id', ID, nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('granted_nanos', sa.BigInteger(), nullable=True),
    sa.Column('granted_until', sa.Date(), nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("state IN ('open', 'approved', 'declined', 'expired')", name=op.f('ck_limit_requests_state_known')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_limit_requests_account_id_accounts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['decided_by_id'], ['users.id'], name=op.f('fk_limit_requests_decided_by_id_users'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_limit_requests_user_id_users'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_limit_requests'))
    )
    op.create_index(op.f('ix_limit_requests_user_id'), 'limit_requests', ['user_id'])
    op.create_index('uq_limit_requests_one_open', 'limit_requests', ['account_id', 'user_id'], unique=True, postgresql_where=IS_OPEN, sqlite_where=IS_OPEN)


def downgrade():
    op.drop_table('limit_requests')
    op.drop_column('memberships', 'extra_until')
    op.drop_column('memberships', 'extra_nanos')
