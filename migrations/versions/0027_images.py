"""images at a fixed price: prices by the piece, models that make images, the files that calls made

Revision ID: 0027
Revises: 0026
Create Date: 2026-11-28 23:30:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0027'
down_revision = '0026'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
APPROVED = sa.text('approved_at IS NOT NULL')
OF_IMAGES = sa.text('image_price_id IS NOT NULL')
KINDS, MORE_KINDS = "'openai', 'anthropic', 'demo'", "'openai', 'anthropic', 'demo', 'google'"
REASON = 'a price that images were sold at is never changed: add a new row'
SOLD = 'EXISTS (SELECT 1 FROM usages WHERE image_price_id = OLD.id)'
FUNCTION = f"""
CREATE FUNCTION refuse_change_of_sold_image_price() RETURNS trigger LANGUAGE plpgsql AS $$
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
    op.create_table('image_prices',
    sa.Column('model_id', ID, nullable=False),
    sa.Column('quality', sa.String(), nullable=False),
    sa.Column('size', sa.String(), nullable=False),
    sa.Column('price_nanos', sa.BigInteger(), nullable=False),
    sa.Column('effective_from', sa.DateTime(timezone=True), nullable=False),
    sa.Column('approved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('approved_by_id', ID, nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('price_nanos > 0', name=op.f('ck_image_prices_price_nanos_positive')),
    sa.ForeignKeyConstraint(['approved_by_id'], ['users.id'], name=op.f('fk_image_prices_approved_by_id_users'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['model_id'], ['models.id'], name=op.f('fk_image_prices_model_id_models'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_image_prices'))
    )
    op.create_index('uq_image_prices_approved', 'image_prices', ['model_id', 'quality', 'size', 'effective_from'], unique=True,
                    postgresql_where=APPROVED, sqlite_where=APPROVED)
    op.add_column('models', sa.Column('makes_images', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('accounts', sa.Column('warns_near_limits', sa.Boolean(), server_default=sa.false(), nullable=False))
    for column in ('image_input_nanos', 'image_output_nanos'):
        add_amount('model_prices', column)
    add_amount('usages', 'provider_nanos')
    refer('usages', 'image_price_id', 'image_prices')
    op.create_index('ix_usages_image_price', 'usages', ['image_price_id', 'id'], postgresql_where=OF_IMAGES, sqlite_where=OF_IMAGES)
    for column, parent in (('document_id', 'documents'), ('call_id', 'usages')):
        refer('attachments', column, parent)
        op.create_index(op.f(f'ix_attachments_{column}'), 'attachments', [column])
    allow_kinds(KINDS, MORE_KINDS)
    keep_sold_prices()


def downgrade():
    let_go_of_sold_prices()
    op.execute("UPDATE providers SET kind = 'openai', is_enabled = false WHERE kind = 'google'")
    allow_kinds(MORE_KINDS, KINDS)
    for column in ('document_id', 'call_id'):
        op.drop_index(op.f(f'ix_attachments_{column}'), 'attachments')
        op.drop_column('attachments', column)
    op.drop_index('ix_usages_image_price', 'usages')
    for column in ('image_price_id', 'provider_nanos'):
        op.drop_column('usages', column)
    for column in ('image_input_nanos', 'image_output_nanos'):
        op.drop_column('model_prices', column)
    op.execute('UPDATE models SET is_for_sale = false WHERE makes_images')
    op.drop_column('models', 'makes_images')
    op.drop_column('accounts', 'warns_near_limits')
    op.drop_table('image_prices')


def add_amount(table, column):
    check = f'CONSTRAINT ck_{table}_{column}_not_negative CHECK ({column} >= 0)'
    op.execute(f'ALTER TABLE {table} ADD COLUMN {column} BIGINT {check}')


def refer(table, column, parent):
    kind = 'BIGINT' if op.get_bind().dialect.name == 'postgresql' else 'INTEGER'
    reference = f'CONSTRAINT fk_{table}_{column}_{parent} REFERENCES {parent} (id)'
    op.execute(f'ALTER TABLE {table} ADD COLUMN {column} {kind} {reference}')


def allow_kinds(old, new):
    """SQLite cannot: its table's text is changed, as its documentation says (lang_altertable.html, 7)."""
    if op.get_bind().dialect.name == 'postgresql':
        op.drop_constraint(op.f('ck_providers_kind_known'), 'providers')
        op.create_check_constraint(op.f('ck_providers_kind_known'), 'providers', f'kind IN ({new})')
        return
    old, new = (f'kind IN ({kinds})'.replace("'", "''") for kinds in (old, new))
    version = op.get_bind().exec_driver_sql('PRAGMA schema_version').scalar()
    op.execute('PRAGMA writable_schema = ON')
    op.execute(f"UPDATE sqlite_schema SET sql = replace(sql, '{old}', '{new}') WHERE type = 'table' AND name = 'providers'")
    op.execute(f'PRAGMA schema_version = {version + 1}')
    op.execute('PRAGMA writable_schema = OFF')


def keep_sold_prices():
    if op.get_bind().dialect.name == 'postgresql':
        op.execute(FUNCTION)
        op.execute('CREATE TRIGGER image_prices_sold BEFORE UPDATE OR DELETE ON image_prices'
                   ' FOR EACH ROW EXECUTE FUNCTION refuse_change_of_sold_image_price()')
        return
    for act in ('update', 'delete'):
        op.execute(f"CREATE TRIGGER image_prices_sold_{act} BEFORE {act} ON image_prices WHEN {SOLD}"
                   f" BEGIN SELECT RAISE(ABORT, '{REASON}'); END")


def let_go_of_sold_prices():
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('DROP TRIGGER image_prices_sold ON image_prices')
        op.execute('DROP FUNCTION refuse_change_of_sold_image_price()')
    else:
        op.execute('DROP TRIGGER image_prices_sold_update')
        op.execute('DROP TRIGGER image_prices_sold_delete')
