"""Promotional codes as an admin makes them: the floor, the margin while typing, terms that stay."""

from typing import Any

from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.promotion_code import PromotionCode
from tests.admin.conftest import AdminClient, at_field


def make(owner: AdminClient, **typed: Any) -> Any:
    return owner.fill("/admin/code/new/", **{"code": "launch", "percent_bps": "20"} | typed)


def test_a_code_is_made_in_the_admin_and_kept_in_capitals(owner: AdminClient, session: Any) -> None:
    assert make(owner).status_code == 302
    code = session.query(PromotionCode).one()
    assert (code.code, code.percent_bps, code.once_per_account, code.duration) == (
        "LAUNCH",
        2000,
        True,
        "once",
    )
    page = owner.get("/admin/code/").text
    assert "LAUNCH" in page
    assert "20%" in page


WRONG = [
    ({"code": "a b"}, "code", "3 to 40 letters"),
    ({"percent_bps": ""}, "percent_bps", "a percentage or an amount"),
    ({"amount_cents": "5"}, "percent_bps", "a percentage or an amount"),
    ({"percent_bps": "100.01"}, "percent_bps", "at most 100%"),
    ({"percent_bps": "60"}, "percent_bps", "Below the lowest margin in Settings"),
    (
        {"plan_ids": "5", "percent_bps": "46"},
        "percent_bps",
        "Below the lowest margin in Settings: Pro $54.00 of $100.00",
    ),
    ({"kind": "bonus", "percent_bps": ""}, "percent_bps", "bonus in percent"),
    ({"kind": "gift", "percent_bps": ""}, "gift_nanos", "how many credits"),
    ({"duration": "repeating"}, "months", "how many months"),
    ({"starts_at": "2026-12-02T00:00", "ends_at": "2026-12-01T00:00"}, "ends_at", "after the start"),
]


def test_a_code_that_cannot_be_is_refused_at_its_field(owner: AdminClient, session: Any) -> None:
    refused, form = {}, owner.form("/admin/code/new/") | {"code": "launch", "percent_bps": "20"}
    for typed, field, text in WRONG:
        answer = owner.send("/admin/code/new/", form | typed)
        refused[str(typed)] = (answer.status_code, text if text in at_field(answer.text, field) else None)
    assert refused == {str(typed): (422, text) for typed, _field, text in WRONG}
    assert session.query(PromotionCode).count() == 0


def test_the_real_margin_is_said_while_a_code_is_typed(owner: AdminClient) -> None:
    said = owner.get("/admin/code/margin/?kind=discount&percent_bps=20").json["text"]
    assert "Plus $16.00 of $20.00, 10,000 credits, real margin 37.5%" in said
    assert "Enterprise $160.00 of $200.00, 114,000 credits, real margin 24%" in said
    assert "below the lowest margin of 0%: refused" in owner.get("/admin/code/margin/?percent_bps=51").json["text"]
    assert "Costs up to $0.30" in owner.get("/admin/code/margin/?kind=gift&gift_nanos=300").json["text"]


def test_what_a_used_code_gives_stays_as_it_is(owner: AdminClient, session: Any) -> None:
    make(owner)
    code = session.query(PromotionCode).one()
    code.redeemed = 1
    session.commit()
    path = f"/admin/code/edit/?id={code.id}"
    assert owner.fill(path, percent_bps="30").status_code == 422
    assert owner.fill(path, most_redemptions="5").status_code == 302
    session.expire_all()
    assert (code.percent_bps, code.most_redemptions) == (2000, 5)


def test_a_code_for_a_plan_or_pack_is_for_its_new_version_too(owner: AdminClient, session: Any) -> None:
    plus, pack = session.query(Plan).filter_by(name="Plus").one(), session.query(CreditPack).first()
    make(owner, plan_ids=str(plus.id), pack_ids=str(pack.id))
    owner.post("/admin/plan/new-version/", id=plus.id)
    owner.post("/admin/pack/new-version/", id=pack.id)
    session.expire_all()
    code = session.query(PromotionCode).one()
    versions = [session.query(table).filter_by(replaces_id=old).one() for table, old in
                ((Plan, plus.id), (CreditPack, pack.id))]  # fmt: skip
    assert code.sold_with() == versions
    form = owner.get(f"/admin/code/edit/?id={code.id}").text
    for former in (plus, pack):
        assert f">{former.name} (legacy, number {former.id})</option>" in at_field(
            form, f"{former.__tablename__[:-1]}_ids"
        )
