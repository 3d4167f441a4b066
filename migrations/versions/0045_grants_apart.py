"""what was granted above a member's limit: each with its own day

Revision ID: 0045
Revises: 0044
Create Date: 2026-11-30 07:05:00.000000

"""
from datetime import UTC, date, datetime

from alembic import op
import sqlalchemy as sa


revision = '0045'
down_revision = '0044'
branch_labels = None
depends_on = None

members = sa.table('memberships', sa.column('id', sa.BigInteger), sa.column('extras', sa.JSON),
                   sa.column('extra_nanos', sa.BigInteger), sa.column('extra_until', sa.Date))


def upgrade():
    op.add_column('memberships', sa.Column('extras', sa.JSON(), server_default='[]', nullable=False))
    granted = sa.select(members.c.id, members.c.extra_nanos, members.c.extra_until)
    for member_id, nanos, until in op.get_bind().execute(granted.where(members.c.extra_until.is_not(None))).all():
        fill(member_id, extras=[(nanos, until.isoformat())])
    op.drop_column('memberships', 'extra_until')
    op.drop_column('memberships', 'extra_nanos')


def downgrade():
    op.add_column('memberships', sa.Column('extra_nanos', sa.BigInteger(), nullable=False, server_default='0'))
    op.add_column('memberships', sa.Column('extra_until', sa.Date(), nullable=True))
    today = datetime.now(UTC).date()
    for member_id, extras in op.get_bind().execute(sa.select(members.c.id, members.c.extras)).all():
        held = [(nanos, day) for nanos, until in extras if (day := date.fromisoformat(until)) >= today]
        if held:
            fill(member_id, extra_nanos=sum(nanos for nanos, _day in held), extra_until=min(day for _nanos, day in held))
    op.drop_column('memberships', 'extras')


def fill(member_id, **columns):
    op.execute(members.update().where(members.c.id == member_id).values(**columns))
