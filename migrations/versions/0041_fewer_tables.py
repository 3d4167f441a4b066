"""volume into packs, recovery codes into users, the watermark into settings

Revision ID: 0041
Revises: 0040
Create Date: 2026-11-29 09:30:00.000000

"""
from datetime import UTC, datetime
from itertools import groupby

from alembic import op
import sqlalchemy as sa


revision = '0041'
down_revision = '0040'
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
MOMENT = sa.DateTime(timezone=True)
WATERMARK = 'totals_until'
packs = sa.table('packs', sa.column('id', sa.BigInteger), sa.column('volume', sa.JSON))
tiers = sa.table('pack_tiers', *(sa.column(name) for name in ('pack_id', 'from_quantity', 'margin_bps')), sa.column('created_at', MOMENT))
users = sa.table('users', sa.column('id', sa.BigInteger), sa.column('recovery_hashes', sa.JSON))
codes = sa.table('recovery_codes', *(sa.column(name) for name in ('id', 'user_id', 'code_hash', 'used_at')), sa.column('created_at', MOMENT))
settings = sa.table('settings', sa.column('key', sa.String), sa.column('value', sa.String))
watermarks = sa.table('watermarks', sa.column('name', sa.String), sa.column('moment', MOMENT))


def upgrade():
    op.add_column('packs', sa.Column('volume', sa.JSON(), server_default='[]', nullable=False))
    op.add_column('users', sa.Column('recovery_hashes', sa.JSON(), server_default='[]', nullable=False))
    fill(packs.c.volume, sa.select(tiers.c.pack_id, tiers.c.from_quantity, tiers.c.margin_bps)
         .order_by(tiers.c.pack_id, tiers.c.from_quantity), lambda row: list(row[1:]))
    fill(users.c.recovery_hashes, sa.select(codes.c.user_id, codes.c.code_hash)
         .where(codes.c.used_at.is_(None)).order_by(codes.c.user_id, codes.c.id), lambda row: row[1])
    for moment in op.get_bind().scalars(sa.select(watermarks.c.moment)).all():
        aware = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        op.execute(settings.insert().values(key=WATERMARK, value=aware.isoformat()))
    for table in ('pack_tiers', 'recovery_codes', 'watermarks'):
        op.drop_table(table)


def fill(column, rows, kept):
    """The rows that belong to one owner, which their first column names, as a list of that owner's."""
    for owner, own in groupby(op.get_bind().execute(rows).all(), key=lambda row: row[0]):
        op.execute(column.table.update().where(column.table.c.id == owner).values({column.name: [kept(row) for row in own]}))


def downgrade():
    op.create_table('watermarks',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('moment', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_watermarks'))
    )
    op.create_table('recovery_codes',
    sa.Column('user_id', ID, nullable=False),
    sa.Column('code_hash', sa.String(), nullable=False),
    sa.Column('used_at', MOMENT, nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_recovery_codes_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_recovery_codes')),
    sa.UniqueConstraint('code_hash', name=op.f('uq_recovery_codes_code_hash'))
    )
    op.create_index(op.f('ix_recovery_codes_user_id'), 'recovery_codes', ['user_id'])
    op.create_table('pack_tiers',
    sa.Column('pack_id', ID, nullable=False),
    sa.Column('from_quantity', sa.Integer(), nullable=False),
    sa.Column('margin_bps', sa.Integer(), nullable=False),
    sa.Column('id', ID, nullable=False),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.CheckConstraint('from_quantity >= 2', name=op.f('ck_pack_tiers_from_quantity_above_one')),
    sa.CheckConstraint('margin_bps >= 0 AND margin_bps < 10000', name=op.f('ck_pack_tiers_margin_in_range')),
    sa.ForeignKeyConstraint(['pack_id'], ['packs.id'], name=op.f('fk_pack_tiers_pack_id_packs'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pack_tiers')),
    sa.UniqueConstraint('pack_id', 'from_quantity', name=op.f('uq_pack_tiers_pack_id_from_quantity'))
    )
    connection, now = op.get_bind(), datetime.now(UTC)
    for pack_id, volume in connection.execute(sa.select(packs.c.id, packs.c.volume)).all():
        for quantity, margin in volume:
            op.execute(tiers.insert().values(pack_id=pack_id, from_quantity=quantity, margin_bps=margin, created_at=now))
    for user_id, hashes in connection.execute(sa.select(users.c.id, users.c.recovery_hashes)).all():
        for code_hash in hashes:
            op.execute(codes.insert().values(user_id=user_id, code_hash=code_hash, created_at=now))
    is_mark = settings.c.key == WATERMARK
    for text in connection.scalars(sa.select(settings.c.value).where(is_mark)).all():
        op.execute(watermarks.insert().values(name='totals', moment=datetime.fromisoformat(text)))
    op.execute(settings.delete().where(is_mark))
    op.drop_column('users', 'recovery_hashes')
    op.drop_column('packs', 'volume')
