"""Models as an admin adds them: what their provider's format makes, and an id that others rely on."""

from sqlalchemy import select

from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.catalog.provider_account import ProviderAccount
from app.models.operations.lab_run import Habit
from tests.admin.conftest import AdminClient, at_field
from tests.support import Database

SIZES = {"context_window": "8000", "max_output_tokens": "1000"}
MAKES = [
    ("openai", {}, ""), ("openai", {"is_embedding": "y"}, ""), ("openai", {"makes_images": "y"}, ""),
    ("anthropic", {}, ""), ("anthropic", {"is_embedding": "y"}, "write text only"),
    ("anthropic", {"makes_images": "y"}, "write text only"),
    ("google", {}, "make images only"), ("google", {"makes_images": "y"}, ""),
    ("demo", {"makes_images": "y", "is_embedding": "y"}, "not both"),
]  # fmt: skip


def test_a_model_makes_what_its_providers_format_can(owner: AdminClient, session: Database) -> None:
    session.add_all(ProviderAccount(name=f"Another {kind}", kind=kind) for kind in {kind for kind, _, _ in MAKES})
    session.commit()
    for number, (kind, flags, fault) in enumerate(MAKES):
        provider = session.scalar(select(ProviderAccount.id).where(ProviderAccount.name == f"Another {kind}"))
        typed = {"name": f"new-{number}", "title": "New", "provider_id": str(provider), **SIZES, **flags}
        answer = owner.fill("/admin/model/new/", **typed)
        shown = at_field(answer.text, "is_embedding" if fault == "not both" else "provider_id")
        assert (answer.status_code, fault in shown) == ((422, True) if fault else (302, True)), (kind, flags)
        session.rollback()
        if fault:
            continue
        places = list(session.scalars(select(AIModel.position).order_by(AIModel.id)))
        assert places[-1] > max(places[:-1]), "what is new comes last: the first is what new chats begin with"
        assert answer.location.startswith("/admin/price/new/?model_id=") == ("makes_images" not in flags)


def test_a_model_that_a_plan_or_a_user_kind_names_keeps_its_id(owner: AdminClient, session: Database) -> None:
    name = "模型_é"
    model, other = session.scalars(select(AIModel).order_by(AIModel.id).limit(2))
    path = f"/admin/model/edit/?id={model.id}"
    assert owner.fill(path, name=name).status_code == 302
    plus = session.scalars(select(Plan).where(Plan.name == "Plus")).one()
    habit = {"people": 1, "plan_id": plus.id, "calls_per_day": 1, "input_tokens": 1, "output_tokens": 1}
    for models, users, fallback in (([name], "another", None), ([], "a third", name), ([], name, None)):
        plus.models, other.fallback = models, fallback
        session.add(Habit(name=users, model=users, **habit))
        session.commit()
        refused = owner.fill(path, name="again")
        assert (refused.status_code, "can&#39;t change" in at_field(refused.text, "name")) == (422, True)
    refused = owner.fill(path, fallback=name)
    assert (refused.status_code, "can&#39;t replace itself" in at_field(refused.text, "fallback")) == (422, True)
