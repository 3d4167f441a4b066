"""rows remember whose Stripe's ids are

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-28 19:40:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
LIVE = "rejected_at IS NULL AND status IN ('trialing', 'active', 'past_due', 'unpaid', 'paused')"


def upgrade():
    op.create_table('stripe_accounts',
    sa.Column('stripe_id', sa.String(), nullable=False),
    sa.Column('is_live', sa.Boolean(), nullable=False),
    sa.Column('is_certain', sa.Boolean(), nullable=False),
    sa.Column('is_in_use', sa.Boolean(), nullable=False),
    sa.Column('in_use_since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('id', BIG, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stripe_accounts')),
    sa.UniqueConstraint('stripe_id', 'is_live', name=op.f('uq_stripe_accounts_stripe_id_is_live'))
    )
    op.create_index('uq_stripe_accounts_one_in_use', 'stripe_accounts', ['is_in_use'], unique=True,
                    postgresql_where=sa.text('is_in_use'), sqlite_where=sa.text('is_in_use'))
    op.create_table('former_stripe_ids',
    sa.Column('stripe_account_id', BIG, nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('row_id', BIG, nullable=False),
    sa.Column('stripe_id', sa.String(), nullable=False),
    sa.Column('price_id', sa.String(), nullable=True),
    sa.Column('published_digest', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['stripe_account_id'], ['stripe_accounts.id'],
                            name=op.f('fk_former_stripe_ids_stripe_account_id_stripe_accounts'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('stripe_account_id', 'kind', 'row_id', name=op.f('pk_former_stripe_ids'))
    )
    for table in ('payments', 'subscriptions'):
        op.add_column(table, sa.Column('former_account_id', BIG, nullable=True))
    one_live(f'former_account_id IS NULL AND {LIVE}')


def one_live(condition):
    op.drop_index('uq_subscriptions_one_live', 'subscriptions')
    op.create_index('uq_subscriptions_one_live', 'subscriptions', ['account_id'], unique=True,
                    postgresql_where=sa.text(condition), sqlite_where=sa.text(condition))


def downgrade():
    # Of what was left with another account nothing may still be live: there is only one for each of ours.
    op.execute("UPDATE subscriptions SET status = 'canceled' WHERE former_account_id IS NOT NULL")
    one_live(LIVE)
    for table in ('payments', 'subscriptions'):
        op.drop_column(table, 'former_account_id')
    op.drop_table('former_stripe_ids')
    op.drop_index('uq_stripe_accounts_one_in_use', 'stripe_accounts')
    op.drop_table('stripe_accounts')

