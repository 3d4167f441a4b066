"""Operations as an admin edits them."""

from sqlalchemy import select

from app.models.catalog.operation import BUILT_IN, OperationRow
from app.models.catalog.plan import Plan
from tests.admin.conftest import AdminClient, at_field
from tests.support import Database


def test_an_operation_stays_with_its_plan_when_that_has_ended(owner: AdminClient, session: Database) -> None:
    plus, row = session.query(Plan).filter_by(name="Plus").one(), session.scalars(select(OperationRow)).first()
    row.minimum_plan_id, plus.status = plus.id, "inactive"
    session.commit()
    assert owner.fill(f"/admin/operation/edit/?id={row.id}", title="Another title").status_code == 302
    session.rollback()
    assert (row.title, row.minimum_plan_id) == ("Another title", plus.id)


def test_what_the_app_calls_by_name_keeps_its_id_and_offers_what_acts(owner: AdminClient, session: Database) -> None:
    """Before anybody has called it too."""
    rows = session.scalars(select(OperationRow)).all()
    assert {row.name for row in rows} == set(BUILT_IN)
    for row in rows:
        path = f"/admin/operation/edit/?id={row.id}"
        form = owner.form(path)
        assert BUILT_IN[row.name].isdisjoint(form), row.name
        refused = owner.send(path, form | {"name": "another"})
        assert (refused.status_code, "This id is in use" in at_field(refused.text, "name")) == (422, True), row.name
