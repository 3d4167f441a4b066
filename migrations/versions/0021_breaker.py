"""spending far from an account's own normal pauses

Revision ID: 0021
Revises: 0020
Create Date: 2026-11-28 23:00:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
OF_ACCOUNT = sa.text('resumed_at IS NULL AND api_key_id IS NULL')
OF_KEY = sa.text('resumed_at IS NULL')
LONG_AGO = '2000-01-01 00:00:00'
ACCOUNT_COLUMNS = ('breaker', 'hour', 'hour_spent_nanos', 'day_spent_nanos', 'hour_bar_nanos', 'day_bar_nanos', 'spending_paused_at', 'breaker_off_until', 'paused_keys')


def new_columns():
    return (
        sa.Column('breaker', sa.String(), server_default='on', nullable=False),
        sa.Column('hour', sa.DateTime(timezone=True), server_default=sa.text(f"'{LONG_AGO}'"), nullable=False),
        sa.Column('hour_spent_nanos', sa.BigInteger(), server_default='0', nullable=False),
        sa.Column('day_spent_nanos', sa.BigInteger(), server_default='0', nullable=False),
        sa.Column('hour_bar_nanos', sa.BigInteger(), nullable=True),
        sa.Column('day_bar_nanos', sa.BigInteger(), nullable=True),
        sa.Column('spending_paused_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('breaker_off_until', sa.DateTime(timezone=True), nullable=True),
        sa.Column('paused_keys', sa.Integer(), server_default='0', nullable=False),
    )


def upgrade():
    for column in new_columns():
        op.add_column('accounts', column)
    op.add_column('api_keys', sa.Column('spending_paused_at', sa.DateTime(timezone=True), nullable=True))
    op.create_table('spending_days',
    sa.Column('account_id', ID, nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('spent_nanos', sa.BigInteger(), nullable=False),
    sa.Column('busiest_hour_nanos', sa.BigInteger(), nullable=False),
    sa.Column('was_mistake', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_spending_days_account_id_accounts'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('account_id', 'day', name=op.f('pk_spending_days'))
    )
    op.create_index('ix_spending_days_day', 'spending_days', ['day'])
    op.create_table('spending_pauses',
    sa.Column('account_id', ID, nullable=False),
    sa.Column('api_key_id', ID, nullable=True),
    sa.Column('period', sa.String(), nullable=False),
    sa.Column('spent_nanos', sa.BigInteger(), nullable=False),
    sa.Column('reserved_nanos', sa.BigInteger(), nullable=False),
    sa.Column('bar_nanos', sa.BigInteger(), nullable=False),
    sa.Column('usual_nanos', sa.BigInteger(), nullable=False),
    sa.Column('minutes', sa.Integer(), nullable=False),
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('model_percent', sa.Integer(), nullable=False),
    sa.Column('resumed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('resumed_by_id', ID, nullable=True),
    sa.Column('was_mistake', sa.Boolean(), nullable=False),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("period IN ('hour', 'day')", name=op.f('ck_spending_pauses_period_known')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_spending_pauses_account_id_accounts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['api_key_id'], ['api_keys.id'], name=op.f('fk_spending_pauses_api_key_id_api_keys'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['resumed_by_id'], ['users.id'], name=op.f('fk_spending_pauses_resumed_by_id_users'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_spending_pauses'))
    )
    op.create_index('ix_spending_pauses_account', 'spending_pauses', ['account_id', 'id'])
    op.create_index('uq_spending_pauses_open_of_account', 'spending_pauses', ['account_id'], unique=True, postgresql_where=OF_ACCOUNT, sqlite_where=OF_ACCOUNT)
    op.create_index('uq_spending_pauses_open_of_key', 'spending_pauses', ['api_key_id'], unique=True, postgresql_where=OF_KEY, sqlite_where=OF_KEY)


def downgrade():
    op.drop_table('spending_pauses')
    op.drop_table('spending_days')
    op.drop_column('api_keys', 'spending_paused_at')
    for name in reversed(ACCOUNT_COLUMNS):
        op.drop_column('accounts', name)
