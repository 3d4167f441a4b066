"""weekly summaries, off until chosen

Revision ID: 0030
Revises: 0029
Create Date: 2026-11-29 00:05:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0030'
down_revision = '0029'
branch_labels = None
depends_on = None

CHOSEN = sa.text('wants_digest')


def upgrade():
    op.add_column('memberships', sa.Column('wants_digest', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index('ix_memberships_digest', 'memberships', ['account_id'], postgresql_where=CHOSEN, sqlite_where=CHOSEN)


def downgrade():
    op.drop_index('ix_memberships_digest', table_name='memberships', postgresql_where=CHOSEN, sqlite_where=CHOSEN)
    op.drop_column('memberships', 'wants_digest')
