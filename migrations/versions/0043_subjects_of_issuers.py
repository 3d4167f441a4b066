"""who a person is at a provider names the provider too

Revision ID: 0043
Revises: 0042
Create Date: 2026-11-29 14:05:00.000000

"""
import os

from alembic import op
import sqlalchemy as sa


revision = '0043'
down_revision = '0042'
branch_labels = None
depends_on = None

ISSUER = os.environ.get('OIDC_ISSUER', '').rstrip('/')


def upgrade():
    """Where no provider is named now, a person is bound anew, by an address that both sides have confirmed."""
    named = sa.text("UPDATE users SET oidc_subject = :issuer || ' ' || oidc_subject WHERE oidc_subject IS NOT NULL")
    nobody = sa.text("UPDATE users SET oidc_subject = NULL")
    op.execute(named.bindparams(issuer=ISSUER) if ISSUER else nobody)


def downgrade():
    """Who was known by another provider is bound anew."""
    named = f"{ISSUER} "
    bare = sa.text(
        "UPDATE users SET oidc_subject = "
        "CASE WHEN substr(oidc_subject, 1, :length) = :named THEN substr(oidc_subject, :start) END"
    )
    op.execute(bare.bindparams(length=len(named), named=named, start=len(named) + 1))
