"""columns and a table get the field's names

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-28 19:00:00.000000

"""
from alembic import op


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

COLUMNS = [
    ('accounts', 'customers_lost', 'customer_generation'),
    ('accounts', 'anchor_at', 'billing_anchor'),
    ('auto_recharges', 'limit_told_for', 'limit_notified_for'),
    ('auto_recharges', 'paused_for', 'pause_reason'),
    ('disputes', 'rounds', 'opened_count'),
    ('packs', 'published_as', 'published_digest'),
    ('payments', 'parked_for', 'review_reason'),
    ('plans', 'published_as', 'published_digest'),
    ('plans', 'set_allowance_nanos', 'allowance_override_nanos'),
    ('subscriptions', 'changes', 'change_counter'),
]
CHECK = 'ck_plans_{}_not_negative'


def upgrade():
    rename_table('sightings', 'sync_versions')
    for table, old, new in COLUMNS:
        op.execute(f'ALTER TABLE {table} RENAME COLUMN {old} TO {new}')
    rename_check('set_allowance_nanos', 'allowance_override_nanos')


def downgrade():
    rename_check('allowance_override_nanos', 'set_allowance_nanos')
    for table, old, new in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} RENAME COLUMN {new} TO {old}')
    rename_table('sync_versions', 'sightings')


def rename_table(old, new):
    op.rename_table(old, new)
    rename_constraint(new, f'pk_{old}', f'pk_{new}')


def rename_check(old, new):
    rename_constraint('plans', CHECK.format(old), CHECK.format(new))


def rename_constraint(table, old, new):
    """SQLite cannot: its table's text is changed, as its documentation says (lang_altertable.html, 7)."""
    if op.get_bind().dialect.name == 'postgresql':
        op.execute(f'ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}')
        return
    version = op.get_bind().exec_driver_sql('PRAGMA schema_version').scalar()
    op.execute('PRAGMA writable_schema = ON')
    op.execute(f"UPDATE sqlite_schema SET sql = replace(sql, '{old}', '{new}') WHERE type = 'table' AND name = '{table}'")
    op.execute(f'PRAGMA schema_version = {version + 1}')
    op.execute('PRAGMA writable_schema = OFF')
