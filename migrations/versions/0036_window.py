"""a limit of some hours: a plan's columns, and an account's as they came with its allowance

Revision ID: 0036
Revises: 0035
Create Date: 2026-11-29 02:50:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0036'
down_revision = '0035'
branch_labels = None
depends_on = None

LONG_AGO = "'2000-01-01 00:00:00'"


def upgrade():
    add('plans', 'window_hours', 'INTEGER CONSTRAINT ck_plans_window_hours_in_range CHECK (window_hours >= 1 AND window_hours <= 12)')
    add('plans', 'window_limit_nanos', 'BIGINT CONSTRAINT ck_plans_window_limit_nanos_not_negative CHECK (window_limit_nanos >= 0)'
        ' CONSTRAINT ck_plans_window_whole CHECK ((window_hours IS NULL) = (window_limit_nanos IS NULL))')
    op.add_column('accounts', sa.Column('window_hours', sa.Integer(), nullable=True))
    op.add_column('accounts', sa.Column('window_limit_nanos', sa.BigInteger(), nullable=True))
    op.add_column('accounts', sa.Column('window_start', sa.DateTime(timezone=True), server_default=sa.text(LONG_AGO), nullable=False))
    add('accounts', 'window_used_nanos', 'BIGINT DEFAULT 0 NOT NULL'
        ' CONSTRAINT ck_accounts_window_used_nanos_not_negative CHECK (window_used_nanos >= 0)')


def downgrade():
    for column in ('window_used_nanos', 'window_start', 'window_limit_nanos', 'window_hours'):
        op.drop_column('accounts', column)
    for column in ('window_limit_nanos', 'window_hours'):
        op.drop_column('plans', column)


def add(table, column, kind):
    op.execute(f'ALTER TABLE {table} ADD COLUMN {column} {kind}')
