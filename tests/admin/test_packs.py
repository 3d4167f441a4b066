"""Packs as an admin edits them, with a tier for each quantity."""

from sqlalchemy import select

from app.models.catalog.plan import CreditPack
from tests.admin.conftest import AdminClient
from tests.support import Database
from tests.support.people import CREDIT


def test_a_pack_is_made(owner: AdminClient, session: Database) -> None:
    assert owner.fill("/admin/pack/new/", name="X credits", price_cents="10", margin_bps="50").status_code == 302
    session.rollback()
    pack = session.scalars(select(CreditPack).where(CreditPack.name == "X credits")).one()
    assert pack.worth_nanos == 5000 * CREDIT


def test_a_form_without_its_tiers_has_none(owner: AdminClient, session: Database) -> None:
    typed = {"name": "Y credits", "status": "active", "position": "1", "price_cents": "10", "margin_bps": "50"}
    assert owner.post("/admin/pack/new/", **typed).status_code == 302
    assert session.scalars(select(CreditPack.volume).where(CreditPack.name == "Y credits")).one() == []


def test_a_pack_has_a_price(owner: AdminClient) -> None:
    assert owner.fill("/admin/pack/new/", name="Nothing", price_cents="0", margin_bps="50").status_code == 422


WRONG_TIERS = [
    ({"volume": "10: 55.01%"}, "10 would be worth no more than 9."),
    ({"volume": "ten: 40"}, "write a quantity from 2 to 100"),
    ({"volume": "1: 40"}, "write a quantity from 2 to 100"),
    ({"volume": "10: 100"}, "from 0 to 99.99"),
    ({"volume": "10: 45", "is_any_amount": "y"}, "has one margin"),
    ({"volume": "²: 45"}, "write a quantity from 2 to 100"),
    ({"volume": "10: 45\n10: 44"}, "Write each quantity once."),
]


def test_tiers_that_cannot_be_are_refused(owner: AdminClient) -> None:
    for typed, text in WRONG_TIERS:
        answer = owner.fill("/admin/pack/edit/?id=1", **typed)
        assert (answer.status_code, text in answer.text) == (422, True), typed


def test_tiers_are_typed_one_to_a_line_and_copied_to_a_new_version(owner: AdminClient, session: Database) -> None:
    assert owner.fill("/admin/pack/edit/?id=1", volume="10: 45%\n50: 40.5").status_code == 302
    assert "10: 45%\n50: 40.5%" in owner.get("/admin/pack/edit/?id=1").text
    owner.post("/admin/pack/new-version/", id=1)
    packs = session.scalars(select(CreditPack).where(CreditPack.name == "Small pack")).all()
    assert [[(one.from_quantity, one.margin_bps) for one in pack.tiers] for pack in packs] == [
        [(10, 4500), (50, 4050)]
    ] * 2
