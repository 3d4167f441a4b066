"""what the text of an attached file is of a longer one

Revision ID: 0032
Revises: 0031
Create Date: 2026-11-29 02:20:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0032'
down_revision = '0031'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('attachments', sa.Column('excerpt', sa.String(), nullable=True))


def downgrade():
    op.drop_column('attachments', 'excerpt')
