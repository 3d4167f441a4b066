"""what an answer goes on with, what it was shortened from, and how much of its prompt was said before

Revision ID: 0031
Revises: 0030
Create Date: 2026-11-29 02:20:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0031'
down_revision = '0030'
branch_labels = None
depends_on = None

CONTINUED = sa.text('continues_id IS NOT NULL')


def upgrade():
    op.add_column('usages', sa.Column('shortened_from', sa.Integer(), nullable=True))
    op.add_column('usages', sa.Column('earlier_bps', sa.Integer(), server_default=sa.text('0'), nullable=False))
    kind = 'BIGINT' if op.get_bind().dialect.name == 'postgresql' else 'INTEGER'
    reference = 'CONSTRAINT fk_usages_continues_id_usages REFERENCES usages (id)'
    op.execute(f'ALTER TABLE usages ADD COLUMN continues_id {kind} {reference}')
    op.create_index('uq_usages_continues', 'usages', ['continues_id'], unique=True,
                    postgresql_where=CONTINUED, sqlite_where=CONTINUED)


def downgrade():
    op.drop_index('uq_usages_continues', table_name='usages')
    for column in ('continues_id', 'earlier_bps', 'shortened_from'):
        op.drop_column('usages', column)
