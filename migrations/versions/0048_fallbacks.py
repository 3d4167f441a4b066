"""the model that takes the place of one whose provider fails

Revision ID: 0048
Revises: 0047
Create Date: 2026-11-30 13:05:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0048'
down_revision = '0047'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('models', sa.Column('fallback', sa.String(), nullable=True))


def downgrade():
    op.drop_column('models', 'fallback')
