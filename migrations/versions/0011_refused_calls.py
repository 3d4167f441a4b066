"""calls that were refused are kept for 90 days

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-28 20:40:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table('refused_calls',
    sa.Column('id', ID, nullable=False),
    sa.Column('account_id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('api_key_id', ID, nullable=True),
    sa.Column('model', sa.String(), nullable=True),
    sa.Column('input_bound', sa.Integer(), nullable=True),
    sa.Column('max_output_tokens', sa.Integer(), nullable=True),
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_refused_calls'))
    )
    op.create_index('ix_refused_calls_newest', 'refused_calls', ['created_at'])


def downgrade():
    op.drop_table('refused_calls')
