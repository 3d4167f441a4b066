"""what a payment was paid with, its invoice as a file, and whether its card is kept

Revision ID: 0034
Revises: 0033
Create Date: 2026-11-29 02:45:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0034'
down_revision = '0033'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('payments', sa.Column('pdf_url', sa.String(), nullable=True))
    op.add_column('payments', sa.Column('method', sa.String(), server_default='', nullable=False))
    op.add_column('payments', sa.Column('saves_card', sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade():
    for column in ('saves_card', 'method', 'pdf_url'):
        op.drop_column('payments', column)
