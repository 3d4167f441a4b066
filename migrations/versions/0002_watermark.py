"""calls are added up as they end

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-22 02:00:00.000000

"""
from datetime import UTC, datetime, time, timedelta

from alembic import op
import sqlalchemy as sa


revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade():
    table = op.create_table('watermarks',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('moment', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_watermarks'))
    )
    # Until now whole days were added up: the totals hold every call that began before the day after the last.
    last = op.get_bind().scalar(sa.select(sa.func.max(sa.column('day', sa.Date()))).select_from(sa.table('daily_totals')))
    if last is not None:
        ended = datetime.combine(last + timedelta(days=1), time(), UTC)
        op.bulk_insert(table, [{'name': 'totals', 'moment': ended}])


def downgrade():
    # What has only a part of a day would never be finished: all of it is added up anew.
    op.execute('DELETE FROM account_days')
    op.execute('DELETE FROM daily_totals')
    op.drop_table('watermarks')
