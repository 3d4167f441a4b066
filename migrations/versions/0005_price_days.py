"""price rows have days and a zone; models have an input limit and an end

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-28 20:00:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

PLACE = 'uq_model_prices_approved'
DAYS = {'weekdays': '1234567', 'excepted_dates': '', 'zone': 'UTC'}
APPROVED = sa.text('approved_at IS NOT NULL')


def upgrade():
    for column, default in DAYS.items():
        op.add_column('model_prices', sa.Column(column, sa.String(), server_default=default, nullable=False))
    index_place('weekdays')
    op.add_column('models', sa.Column('max_input_tokens', sa.Integer(), nullable=True))
    op.add_column('models', sa.Column('sold_until', sa.DateTime(timezone=True), nullable=True))
    op.add_column('models', sa.Column('successor', sa.String(), nullable=True))


def downgrade():
    for column in ('successor', 'sold_until', 'max_input_tokens'):
        op.drop_column('models', column)
    # Without days a row would hold on all of them: the widest of each place stays.
    op.execute("DELETE FROM model_prices WHERE weekdays <> '1234567' AND id NOT IN (SELECT price_id FROM usages)")
    op.drop_index(PLACE, table_name='model_prices')
    for column in reversed(DAYS):
        op.drop_column('model_prices', column)
    index_place(drop=False)


def index_place(*more, drop=True):
    if drop:
        op.drop_index(PLACE, table_name='model_prices')
    columns = ['model_id', 'effective_from', 'from_minute', *more]
    op.create_index(PLACE, 'model_prices', columns, unique=True, postgresql_where=APPROVED, sqlite_where=APPROVED)
