"""the database refuses to change a price that calls were sold at; what the nightly audit of calls came to

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-28 20:20:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

REASON = 'a price that calls were sold at is never changed: add a new row'
SOLD = 'EXISTS (SELECT 1 FROM usages WHERE price_id = OLD.id)'
FUNCTION = f"""
CREATE FUNCTION refuse_change_of_sold_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {SOLD} THEN
    RAISE EXCEPTION '{REASON}' USING ERRCODE = 'restrict_violation';
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  RETURN NEW;
END $$
"""


def upgrade():
    op.create_index('ix_usages_price', 'usages', ['price_id'])
    op.create_table('call_audits',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('calls', sa.BigInteger(), nullable=False),
    sa.Column('differing', sa.BigInteger(), nullable=False),
    sa.Column('findings', sa.JSON(), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('day', name=op.f('pk_call_audits'))
    )
    if op.get_bind().dialect.name == 'postgresql':
        op.execute(FUNCTION)
        op.execute('CREATE TRIGGER model_prices_sold BEFORE UPDATE OR DELETE ON model_prices'
                   ' FOR EACH ROW EXECUTE FUNCTION refuse_change_of_sold_price()')
        return
    for act in ('update', 'delete'):
        op.execute(f"CREATE TRIGGER model_prices_sold_{act} BEFORE {act} ON model_prices WHEN {SOLD}"
                   f" BEGIN SELECT RAISE(ABORT, '{REASON}'); END")


def downgrade():
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('DROP TRIGGER model_prices_sold ON model_prices')
        op.execute('DROP FUNCTION refuse_change_of_sold_price()')
    else:
        op.execute('DROP TRIGGER model_prices_sold_update')
        op.execute('DROP TRIGGER model_prices_sold_delete')
    op.drop_table('call_audits')
    op.drop_index('ix_usages_price', table_name='usages')
