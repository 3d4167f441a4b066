"""Operations as an admin edits them."""

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from app.models.catalog.operation import OperationRow
from app.models.catalog.plan import Plan
from tests.admin.conftest import AdminClient


def test_an_operation_stays_with_its_plan_when_that_has_ended(
    owner: AdminClient, session: scoped_session[Session]
) -> None:
    plus, row = session.query(Plan).filter_by(name="Plus").one(), session.scalars(select(OperationRow)).first()
    row.minimum_plan_id, plus.status = plus.id, "inactive"
    session.commit()
    assert owner.fill(f"/admin/operation/edit/?id={row.id}", title="Another title").status_code == 302
    session.rollback()
    assert (row.title, row.minimum_plan_id) == ("Another title", plus.id)
