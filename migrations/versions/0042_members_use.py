"""what members used in a month is summed up from their calls

Revision ID: 0042
Revises: 0041
Create Date: 2026-11-29 10:05:00.000000

"""
from datetime import UTC, datetime

from alembic import op
import sqlalchemy as sa


revision = '0042'
down_revision = '0041'
branch_labels = None
depends_on = None

OF_MONTH = """
UPDATE memberships SET used_month = :month, used_nanos = (
    SELECT coalesce(sum(CASE WHEN state = 'running' THEN reserved_nanos ELSE allowance_paid_nanos + credits_paid_nanos END), 0)
    FROM usages WHERE usages.account_id = memberships.account_id AND usages.user_id = memberships.user_id AND usages.day >= :month)
WHERE account_id IN (SELECT id FROM accounts WHERE kind = 'team')
"""


def upgrade():
    op.create_index('ix_account_days_person', 'account_days', ['account_id', 'user_id', 'day'])
    with op.batch_alter_table('memberships') as table:
        table.drop_constraint(op.f('ck_memberships_used_nanos_not_negative'), type_='check')
        table.drop_column('used_nanos')
        table.drop_column('used_month')


def downgrade():
    op.add_column('memberships', sa.Column('used_month', sa.Date(), nullable=True))
    op.execute('ALTER TABLE memberships ADD COLUMN used_nanos BIGINT DEFAULT 0 NOT NULL'
               ' CONSTRAINT ck_memberships_used_nanos_not_negative CHECK (used_nanos >= 0)')
    month = datetime.now(UTC).date().replace(day=1)
    op.execute(sa.text(OF_MONTH).bindparams(sa.bindparam('month', month, sa.Date())))
    op.drop_index('ix_account_days_person', 'account_days')
