"""a price may be that of a service tier

Revision ID: 0019
Revises: 0018
Create Date: 2026-11-28 22:55:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None

PLACE = 'uq_model_prices_approved'
APPROVED = sa.text('approved_at IS NOT NULL')
WITHDRAW = "UPDATE model_prices SET approved_at = NULL WHERE service_tier <> ''"
REASON = 'a price that calls were sold at is never changed: add a new row'
SOLD = 'EXISTS (SELECT 1 FROM usages WHERE price_id = OLD.id)'


def upgrade():
    op.add_column('model_prices', sa.Column('service_tier', sa.String(), server_default='', nullable=False))
    index_place('service_tier')


def downgrade():
    # Without a tier a row would hold for all calls. Those that calls were sold at stay, and count no more.
    op.execute("DELETE FROM model_prices WHERE service_tier <> '' AND id NOT IN (SELECT price_id FROM usages)")
    withdraw_sold()
    op.drop_index(PLACE, table_name='model_prices')
    op.drop_column('model_prices', 'service_tier')
    index_place(drop=False)


def withdraw_sold():
    """The trigger that keeps sold prices as they are steps aside for it."""
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('ALTER TABLE model_prices DISABLE TRIGGER model_prices_sold')
        op.execute(WITHDRAW)
        op.execute('ALTER TABLE model_prices ENABLE TRIGGER model_prices_sold')
        return
    op.execute('DROP TRIGGER model_prices_sold_update')
    op.execute(WITHDRAW)
    op.execute(f"CREATE TRIGGER model_prices_sold_update BEFORE update ON model_prices WHEN {SOLD}"
               f" BEGIN SELECT RAISE(ABORT, '{REASON}'); END")


def index_place(*more, drop=True):
    if drop:
        op.drop_index(PLACE, table_name='model_prices')
    columns = ['model_id', 'effective_from', 'from_minute', 'weekdays', *more]
    op.create_index(PLACE, 'model_prices', columns, unique=True, postgresql_where=APPROVED, sqlite_where=APPROVED)
