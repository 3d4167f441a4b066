"""People: who they are, and what an admin may do for them. Addresses and passwords stay theirs."""

import secrets
from typing import Any, ClassVar

from flask import abort, make_response, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.contrib.sqla.filters import FilterEqual
from flask_login import current_user
from sqlalchemy import select

from app import mailer
from app.admin.access import owners_only, wants_on
from app.admin.cell_links import ACCOUNT_NAME
from app.admin.model_view import AdminTable
from app.extensions import db
from app.jobs import JobName, enqueue
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.erasure import delete_person
from app.models.identity.membership import Membership
from app.models.identity.two_factor import forget
from app.models.identity.user import User, is_erased
from app.models.metering.refusal import Conflict
from app.web.conflicts import conflict_text

MAILED = {"verify": "The verification link", "reset": "A password reset link"}
ROLES = {"": None, "owner": "owner", "support": "support"}


class UserTable(AdminTable):
    one = "person"
    intro = "People who sign in. Accounts are charged, not people."
    searches = "email or name"
    can_view_details = True
    details_template = "admin/user.html"
    title_column = "email"
    column_list = ("email", "name", "email_verified_at", "admin_role", "disabled_at", "created_at")
    column_details_list = ("id", *column_list)
    column_labels: ClassVar = {"email_verified_at": "Verified", "admin_role": "Admin", "created_at": "Since"}
    column_searchable_list = ("email", "name")
    column_sortable_list = ("email", "name", "created_at")
    column_default_sort = ("id", True)
    column_filters = (FilterEqual(User.admin_role, "Admin", options=[("owner", "owner"), ("support", "support")]),)

    def render(self, template: str, **context: Any) -> str:
        if template == self.details_template:
            query = (
                select(Account.id, ACCOUNT_NAME, Account.kind, Membership.role)
                .join(Membership, Membership.account_id == Account.id)
                .where(Membership.user_id == context["model"].id)
                .order_by(Account.id)
            )
            context["accounts"] = list(db.session.execute(query))
            context["is_erased"] = is_erased(context["model"].email)
        return super().render(template, **context)

    def person_asked_for(self) -> User:
        person: User = self.row_asked_for()
        return person

    def other_person(self) -> User:
        """Whom a form is about, never the owner who asks: both are held, so that no two owners remove each other."""
        person = self.person_asked_for()
        if person.id == current_user.user_id:
            text = "Another owner has to do that for you."
            abort(make_response(self.go_back(text, ".details_view", "error", id=person.id)))
        if not User.hold_with_owner(person.id, current_user.user_id):
            abort(403)
        db.session.refresh(person)
        return person

    def done(self, person: User, text: str) -> ResponseReturnValue:
        db.session.commit()
        return self.go_back(text, ".details_view", id=person.id)

    @expose("/sign-out/", methods=("POST",))
    def sign_out_view(self) -> ResponseReturnValue:
        """End every session of a person, and their keys where the button says so."""
        person, changes = self.person_asked_for(), {"sessions": [None, "ended"]}
        person.end_sessions()
        if request.form.get("keys") == "revoke":
            changes["keys"] = [None, f"{ApiKey.revoke_all_of(person.id)} revoked"]
        self.record("sign out everywhere", person, changes=changes)
        return self.done(person, f"{person.email} is signed out everywhere.")

    @expose("/disable/", methods=("POST",))
    @owners_only
    def disable_view(self) -> ResponseReturnValue:
        """Disable a person, or enable them again."""
        person = self.other_person()
        with db.session.no_autoflush:
            if wants_on():
                person.disable()
            else:
                person.disabled_at = None
        self.record("disable" if person.disabled_at else "enable", person)
        return self.done(person, f"{person.email} is {'disabled' if person.disabled_at else 'enabled'}.")

    @expose("/forget-second-factor/", methods=("POST",))
    @owners_only
    def forget_view(self) -> ResponseReturnValue:
        """For somebody who lost the telephone and the codes; never one's own."""
        person = self.other_person()
        forget(person)
        self.record("forget second factor", person, changes={"second_factor": ["set up", None]})
        return self.done(person, f"{person.email} sets it up again at the next visit.")

    @expose("/mail/", methods=("POST",))
    def mail_view(self) -> ResponseReturnValue:
        """Mail the link that verifies the address, or one for a new password."""
        person, template = self.person_asked_for(), request.form.get("template")
        if template not in MAILED:
            abort(400)
        context = {"user_id": person.id, "credential": person.credential_mark} if template == "verify" else {}
        mailer.post(f"admin:{template}:{secrets.token_hex(8)}", person.email, template, **context)
        self.record("mail", person, changes={"mail": [None, template]})
        return self.done(person, f"{MAILED[template]}: it is on its way to {person.email}.")

    @expose("/erase/", methods=("POST",))
    @owners_only
    def erase_view(self) -> ResponseReturnValue:
        """Delete somebody who asked for it, as they could themselves; their email is typed first."""
        person = self.person_asked_for()
        if request.form.get("email", "").strip().casefold() != person.email.casefold():
            return self.go_back("Not deleted: that isn't their email.", ".details_view", "error", id=person.id)
        Account.locked(person.home_id)
        person = self.other_person()
        try:
            closed = delete_person(person)
        except Conflict as error:
            db.session.rollback()
            return self.go_back(f"Not deleted: {conflict_text(error)}", ".details_view", "error", id=person.id)
        self.record("delete", person, changes={"person": [None, "deleted"]})
        answer = self.done(person, "Deleted. Receipts and the ledger stay, without a name.")
        for account_id in closed:
            enqueue(JobName.ACCOUNT_CLOSED, account_id)
        return answer

    @expose("/appoint/", methods=("POST",))
    @owners_only
    def appoint_view(self) -> ResponseReturnValue:
        """Give a person a role in the admin, or take it away. One's own stays."""
        asked = request.form.get("appointed", "-")
        if asked not in ROLES:
            abort(400)
        person = self.other_person()
        person.admin_role = ROLES[asked]
        self.record("appoint", person)
        return self.done(person, f"{person.email}: {asked or 'no role in the admin'}.")
