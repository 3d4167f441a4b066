"""documents and their revisions; what plans allow of documents and images

Revision ID: 0014
Revises: 0013
Create Date: 2026-11-28 20:00:00.000000

"""
from alembic import op
import sqlalchemy as sa


revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
LIMITS = ('documents', 'images_per_month')


def upgrade():
    op.create_table('documents',
    sa.Column('account_id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('title', sa.String(), nullable=False),
    sa.Column('head_id', ID, nullable=True),
    sa.Column('source_id', ID, nullable=True),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('archived_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_documents_account_id_accounts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['source_id'], ['documents.id'], name=op.f('fk_documents_source_id_documents'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_documents_user_id_users'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_documents'))
    )
    op.create_index('ix_documents_account_user_newest', 'documents', ['account_id', 'user_id', 'updated_at'])
    op.create_table('document_revisions',
    sa.Column('account_id', ID, nullable=False),
    sa.Column('document_id', ID, nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('error_code', sa.String(), nullable=True),
    sa.Column('error_detail', sa.String(), nullable=True),
    sa.Column('call_id', ID, nullable=True),
    sa.Column('operation', sa.String(), nullable=True),
    sa.Column('base_number', sa.Integer(), nullable=True),
    sa.Column('before_length', sa.Integer(), nullable=False),
    sa.Column('after_length', sa.Integer(), nullable=False),
    sa.Column('saved_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('checkpoint_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('stop_requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("state IN ('proposed', 'kept', 'dropped')", name=op.f('ck_document_revisions_state_known')),
    sa.CheckConstraint("status IN ('running', 'done', 'stopped', 'failed', 'interrupted')", name=op.f('ck_document_revisions_status_known')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_document_revisions_account_id_accounts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['call_id'], ['usages.id'], name=op.f('fk_document_revisions_call_id_usages'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['document_id'], ['documents.id'], name=op.f('fk_document_revisions_document_id_documents'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_document_revisions')),
    sa.UniqueConstraint('document_id', 'number', name=op.f('uq_document_revisions_document_id_number'))
    )
    op.create_index(op.f('ix_document_revisions_call_id'), 'document_revisions', ['call_id'])
    op.add_column('usages', sa.Column('document_id', ID, nullable=True))
    op.create_index(op.f('ix_usages_document_id'), 'usages', ['document_id'])
    op.add_column('chats', sa.Column('document_id', ID, nullable=True))
    for column in LIMITS:
        check = f'CONSTRAINT ck_plans_{column}_not_negative CHECK ({column} >= 0)'
        op.execute(f'ALTER TABLE plans ADD COLUMN {column} INTEGER {check}')


def downgrade():
    for column in LIMITS:
        op.drop_column('plans', column)
    op.drop_column('chats', 'document_id')
    op.drop_index(op.f('ix_usages_document_id'), 'usages')
    op.drop_column('usages', 'document_id')
    op.drop_table('document_revisions')
    op.drop_table('documents')
