"""margins by volume, packs of any amount, recharges up to a target, prices for a time

Revision ID: 0026
Revises: 0025
Create Date: 2026-11-28 23:45:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0026'
down_revision = '0025'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table('pack_tiers',
    sa.Column('pack_id', ID, nullable=False),
    sa.Column('from_quantity', sa.Integer(), nullable=False),
    sa.Column('margin_bps', sa.Integer(), nullable=False),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('from_quantity >= 2', name=op.f('ck_pack_tiers_from_quantity_above_one')),
    sa.CheckConstraint('margin_bps >= 0 AND margin_bps < 10000', name=op.f('ck_pack_tiers_margin_in_range')),
    sa.ForeignKeyConstraint(['pack_id'], ['packs.id'], name=op.f('fk_pack_tiers_pack_id_packs'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pack_tiers')),
    sa.UniqueConstraint('pack_id', 'from_quantity', name=op.f('uq_pack_tiers_pack_id_from_quantity'))
    )
    op.execute('ALTER TABLE payments ADD COLUMN included_tax_cents INTEGER NOT NULL DEFAULT 0'
               ' CONSTRAINT ck_payments_included_tax_cents_not_negative CHECK (included_tax_cents >= 0)')
    op.add_column('payments', sa.Column('is_taxed', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('packs', sa.Column('is_any_amount', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute('ALTER TABLE auto_recharges ADD COLUMN target_nanos BIGINT'
               ' CONSTRAINT ck_auto_recharges_target_nanos_not_negative CHECK (target_nanos >= 0)')
    op.execute('ALTER TABLE plans ADD COLUMN sale_price_cents INTEGER'
               ' CONSTRAINT ck_plans_sale_price_cents_not_negative CHECK (sale_price_cents >= 0)')
    op.add_column('plans', sa.Column('sale_ends_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('plans', sa.Column('stripe_sale_price_id', sa.String(), nullable=True))


def downgrade():
    for column in ('stripe_sale_price_id', 'sale_ends_at', 'sale_price_cents'):
        op.drop_column('plans', column)
    op.drop_column('auto_recharges', 'target_nanos')
    op.drop_column('packs', 'is_any_amount')
    op.drop_column('payments', 'is_taxed')
    op.drop_column('payments', 'included_tax_cents')
    op.drop_table('pack_tiers')
