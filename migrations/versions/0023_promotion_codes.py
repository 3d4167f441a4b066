"""promotional codes, their redemptions, and what of a payment is a discount, a tax and a bonus

Revision ID: 0023
Revises: 0022
Create Date: 2026-11-28 23:00:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
AMOUNTS = {'discount_cents': 'INTEGER', 'tax_cents': 'INTEGER', 'bonus_nanos': 'BIGINT'}
KINDS = ('refill', 'debt_repaid', 'plan_change', 'trial', 'allowance_ended', 'welcome', 'purchase', 'recharge',
         'refund', 'refund_failed', 'dispute', 'dispute_won', 'correction', 'grant', 'adjustment')


def known(kinds):
    return 'kind IN (' + ', '.join(f"'{kind}'" for kind in kinds) + ')'


def change_kinds(kinds):
    with op.batch_alter_table('ledger_entries') as table:
        table.drop_constraint(op.f('ck_ledger_entries_kind_known'), type_='check')
        table.create_check_constraint(op.f('ck_ledger_entries_kind_known'), known(kinds))


def upgrade():
    op.create_table('promotion_codes',
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.Column('plan_ids', sa.JSON(), nullable=False),
    sa.Column('pack_ids', sa.JSON(), nullable=False),
    sa.Column('percent_bps', sa.Integer(), nullable=True),
    sa.Column('amount_cents', sa.Integer(), nullable=True),
    sa.Column('currency', sa.String(), nullable=False),
    sa.Column('duration', sa.String(), nullable=False),
    sa.Column('months', sa.Integer(), nullable=True),
    sa.Column('gift_nanos', sa.BigInteger(), nullable=True),
    sa.Column('first_purchase_only', sa.Boolean(), nullable=False),
    sa.Column('once_per_account', sa.Boolean(), nullable=False),
    sa.Column('most_redemptions', sa.Integer(), nullable=True),
    sa.Column('redeemed', sa.Integer(), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('stripe_coupon_id', sa.String(), nullable=True),
    sa.Column('former_coupon_ids', sa.JSON(), nullable=False),
    sa.Column('stripe_promotion_code_id', sa.String(), nullable=True),
    sa.Column('published_digest', sa.String(), nullable=False),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("kind IN ('discount', 'bonus', 'gift')", name=op.f('ck_promotion_codes_kind_known')),
    sa.CheckConstraint("duration IN ('once', 'repeating', 'forever')", name=op.f('ck_promotion_codes_duration_known')),
    sa.CheckConstraint('redeemed >= 0', name=op.f('ck_promotion_codes_redeemed_not_negative')),
    sa.CheckConstraint('most_redemptions >= 1', name=op.f('ck_promotion_codes_most_redemptions_positive')),
    sa.CheckConstraint("(duration = 'repeating') = (coalesce(months, 0) > 0)", name=op.f('ck_promotion_codes_months_of_repeating')),
    sa.CheckConstraint(
        "(kind = 'gift' AND coalesce(gift_nanos, 0) > 0)"
        " OR (kind = 'bonus' AND coalesce(percent_bps, 0) > 0)"
        " OR (kind = 'discount' AND (coalesce(percent_bps, 0) > 0) <> (coalesce(amount_cents, 0) > 0))",
        name=op.f('ck_promotion_codes_gives_what_its_kind_gives')),
    sa.CheckConstraint("kind <> 'discount' OR coalesce(percent_bps, 0) <= 10000", name=op.f('ck_promotion_codes_discount_within_all')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_promotion_codes')),
    sa.UniqueConstraint('code', name=op.f('uq_promotion_codes_code')),
    sa.UniqueConstraint('stripe_coupon_id', name=op.f('uq_promotion_codes_stripe_coupon_id')),
    sa.UniqueConstraint('stripe_promotion_code_id', name=op.f('uq_promotion_codes_stripe_promotion_code_id'))
    )
    op.create_table('redemptions',
    sa.Column('code_id', ID, nullable=False),
    sa.Column('account_id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=True),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('bonus_nanos', sa.BigInteger(), nullable=False),
    sa.Column('account_key', sa.String(), nullable=True),
    sa.Column('address_key', sa.String(), nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("state IN ('held', 'used', 'released')", name=op.f('ck_redemptions_state_known')),
    sa.CheckConstraint('bonus_nanos >= 0', name=op.f('ck_redemptions_bonus_nanos_not_negative')),
    sa.ForeignKeyConstraint(['code_id'], ['promotion_codes.id'], name=op.f('fk_redemptions_code_id_promotion_codes'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_redemptions_account_id_accounts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_redemptions_user_id_users'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_redemptions')),
    sa.UniqueConstraint('code_id', 'account_key', name=op.f('uq_redemptions_code_id_account_key')),
    sa.UniqueConstraint('code_id', 'address_key', name=op.f('uq_redemptions_code_id_address_key'))
    )
    op.create_index(op.f('ix_redemptions_account_id'), 'redemptions', ['account_id'])
    for table in ('payments', 'subscriptions'):
        op.add_column(table, sa.Column('redemption_id', ID, nullable=True))
        op.create_index(op.f(f'ix_{table}_redemption_id'), table, ['redemption_id'])
    for column, kind in AMOUNTS.items():
        check = f'CONSTRAINT ck_payments_{column}_not_negative CHECK ({column} >= 0)'
        op.execute(f'ALTER TABLE payments ADD COLUMN {column} {kind} NOT NULL DEFAULT 0 {check}')
    change_kinds((*KINDS, 'bonus', 'gift'))


def downgrade():
    op.execute("UPDATE ledger_entries SET kind = 'grant' WHERE kind IN ('bonus', 'gift')")
    change_kinds(KINDS)
    for column in AMOUNTS:
        op.drop_column('payments', column)
    for table in ('payments', 'subscriptions'):
        op.drop_index(op.f(f'ix_{table}_redemption_id'), table)
        op.drop_column(table, 'redemption_id')
    op.drop_table('redemptions')
    op.drop_table('promotion_codes')
