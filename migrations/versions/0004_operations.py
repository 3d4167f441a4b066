"""operations are rows; a call whose text is kept nowhere has a lease of its own

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-28 19:40:00.000000

"""
from datetime import UTC, datetime

from alembic import op
import sqlalchemy as sa


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
ONLY_THE_TEXT = 'Answer with the text alone: no greeting, no remark about it, no fence around it.'
EDIT = (
    'You edit a document in Markdown. Follow the instructions, keep what they do not touch as it is, '
    'and keep its language unless they name another. '
)
OPERATIONS = [
    ('chat', 'Chat message', ''),
    (
        'title',
        'Chat title',
        'Write a title of two to six words for this conversation, in its language. Answer with the title alone.',
    ),
    (
        'draft',
        'Draft',
        'You write documents in Markdown. Write what is asked for, in the language of the request. ' + ONLY_THE_TEXT,
    ),
    ('refine', 'Refine', EDIT + 'Answer with the whole document as it should be. ' + ONLY_THE_TEXT),
    (
        'refine_selection',
        'Refine a selection',
        EDIT + 'Rewrite only the passage between <selection> and </selection>, so that it fits what stands around it. '
        'Answer with the passage alone, without these marks. ' + ONLY_THE_TEXT,
    ),
    (
        'repurpose',
        'Repurpose',
        'You turn a document into something else: $kind. Use only what the document says, in its language, as Markdown. '
        + ONLY_THE_TEXT,
    ),
    (
        'image_prompt',
        'Image prompt',
        'Describe one picture that would go with this text, for a model that paints: subject, setting, light, style, '
        'in at most 80 words of English. ' + ONLY_THE_TEXT,
    ),
    ('image', 'Image', ''),
    ('gateway', 'API call', ''),
]


def upgrade():
    table = op.create_table('operations',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('title', sa.String(), nullable=False),
    sa.Column('instructions', sa.String(), nullable=False),
    sa.Column('default_model', sa.String(), nullable=True),
    sa.Column('max_output_tokens', sa.Integer(), nullable=True),
    sa.Column('is_enabled', sa.Boolean(), nullable=False),
    sa.Column('minimum_plan_id', ID, nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('max_output_tokens > 0', name=op.f('ck_operations_max_output_tokens_positive')),
    sa.ForeignKeyConstraint(['minimum_plan_id'], ['plans.id'], name=op.f('fk_operations_minimum_plan_id_plans'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_operations')),
    sa.UniqueConstraint('name', name=op.f('uq_operations_name'))
    )
    now = datetime.now(UTC)
    op.bulk_insert(table, [
        {'name': name, 'title': title, 'instructions': instructions, 'is_enabled': True, 'created_at': now}
        for name, title, instructions in OPERATIONS
    ])
    op.add_column('usages', sa.Column('renewed_at', sa.DateTime(timezone=True), nullable=True))


def downgrade():
    op.drop_column('usages', 'renewed_at')
    op.drop_table('operations')
    op.execute("DELETE FROM settings WHERE key = 'operations_version'")
