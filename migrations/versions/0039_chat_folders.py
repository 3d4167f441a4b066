"""chats may be kept in a folder, by its name

Revision ID: 0039
Revises: 0038
Create Date: 2026-11-29 06:10:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0039'
down_revision = '0038'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('chats', sa.Column('folder', sa.String(), nullable=True))


def downgrade():
    op.drop_column('chats', 'folder')
