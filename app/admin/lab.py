"""The lab: what was used under another business model. Runs are kept, compared, repeated, and made into drafts."""

from typing import Any, ClassVar

from flask import abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user
from sqlalchemy import select
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length

from app.admin.access import owners_only
from app.admin.cell_formats import sold_title
from app.admin.form_fields import Amount, Count, Percent, Required, RowForm, choices_of, id_or_none
from app.admin.lab_form import lab_form, packs, plans, scenario_of
from app.admin.lab_tables import TABLES, changes_of, charts_of, totals_of
from app.admin.model_view import AdminPage, AdminTable
from app.admin.plan_forms import model_names
from app.extensions import db
from app.jobs import JobName, enqueue
from app.lab.assumptions import assumptions
from app.lab.report import Report
from app.lab.scenario import Scenario, terms_of
from app.lab.simulation import check_size
from app.lab.user_kinds import seed_habits
from app.models.base import utcnow
from app.models.catalog.plan import CreditPack, Plan, copy_as_draft
from app.models.metering.refusal import InvalidRequest, PricingError
from app.models.operations.audit_log import AdminChange
from app.models.operations.lab_run import LabRun
from app.web.csv import csv_table

SHOWN, MOST_COMPARED = 50, 10
SOLD: tuple[tuple[str, Any], ...] = (("plans", Plan), ("packs", CreditPack))


class LabPage(AdminPage):
    @expose("/")
    def index(self) -> str:
        kept = select(LabRun).order_by(LabRun.id.desc()).limit(SHOWN)
        return self.render("admin/lab.html", runs=db.session.scalars(kept).all(), changes_of=changes_of)

    @expose("/new/", methods=("GET", "POST"))
    @owners_only
    def new_view(self) -> ResponseReturnValue:
        """The form, filled with what there is or with a run that is begun from; and what was typed into it."""
        former = LabRun.find(request.args.get("like", ""))
        scenario = Scenario.of(former.scenario) if former else None
        form, groups = lab_form(scenario, request.form if request.method == "POST" else None)
        if request.method == "POST" and form.validate():
            chosen = scenario_of(form)
            try:
                check(chosen)
            except InvalidRequest as fault:
                flash(str(fault), "error")
            else:
                return self.started(form.name.data or "", chosen)
        page = self.render("admin/lab_form.html", form=form, groups=groups)
        return (page, 422) if request.method == "POST" else page

    def started(self, name: str, scenario: Scenario) -> ResponseReturnValue:
        if scenario.is_simulated:
            seed_habits()
        run = LabRun(name=name, by_id=current_user.user_id, scenario=scenario.stored)
        db.session.add(run)
        db.session.commit()
        enqueue(JobName.RUN_LAB, run.id)
        return redirect(self.get_url(".details_view", id=run.id))

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        run = self.one(request.args.get("id"))
        scenario, report = Scenario.of(run.scenario), Report.of(run.result)
        return self.render(
            "admin/lab_run.html",
            run=run,
            scenario=scenario,
            changes=changes_of(run),
            totals=totals_of(report),
            charts=charts_of(report, scenario),
            tables={name: table(report) for name, table in TABLES.items()},
            report=report,
            taken=assumptions(is_simulated=run.is_simulated),
        )

    @expose("/csv/<table>/")
    def csv_view(self, table: str) -> ResponseReturnValue:
        run = self.one(request.args.get("id"))
        if table not in TABLES:
            abort(404)
        headings, rows = TABLES[table](Report.of(run.result))
        return csv_table(f"lab-{run.id}-{table}", headings, rows)

    @expose("/compare/")
    def compare_view(self) -> ResponseReturnValue:
        """Two runs or more beside each other."""
        chosen = request.args.getlist("id")
        if not 2 <= len(chosen) <= MOST_COMPARED:
            return self.go_back(f"Select 2 to {MOST_COMPARED} runs to compare.", ".index", "error")
        runs = [self.one(identifier) for identifier in chosen]
        return self.render(
            "admin/lab_compare.html",
            runs=runs,
            totals=[totals_of(Report.of(run.result)) for run in runs],
            changes_of=changes_of,
        )

    @expose("/cancel/", methods=("POST",))
    @owners_only
    def cancel_view(self) -> ResponseReturnValue:
        run = self.one(request.form.get("id"))
        if not run.is_over:
            run.state, run.finished_at = "cancelled", utcnow()
            db.session.commit()
        return redirect(self.get_url(".details_view", id=run.id))

    @expose("/repeat/", methods=("POST",))
    @owners_only
    def repeat_view(self) -> ResponseReturnValue:
        """The same scenario again, on what the record holds now."""
        run = self.one(request.form.get("id"))
        scenario = Scenario.of(run.scenario)
        try:
            check(scenario)
        except InvalidRequest as fault:
            return self.go_back(f"Not started: {fault}", ".details_view", "error", id=run.id)
        return self.started(f"{run.name[:70]} again", scenario)

    @expose("/drafts/", methods=("POST",))
    @owners_only
    def drafts_view(self) -> ResponseReturnValue:
        """New versions of the plans and packs that the run changed: inactive, for somebody to look at."""
        run, drafts = self.one(request.form.get("id")), []
        try:
            terms_of(Scenario.of(run.scenario))
        except PricingError as fault:
            return self.go_back(f"No drafts were made: {fault}", ".details_view", "error", id=run.id)
        for table, kind in SOLD:
            for key, changes in run.scenario.get(table, {}).items():
                sold = db.session.get_one(kind, int(key))
                draft = copy_as_draft(sold, changes)
                db.session.flush()
                made = {"replaces_id": [None, key], "from": [None, f"lab run {run.id}"]}
                AdminChange.note(current_user.user_id, "draft", draft, changes=made)
                drafts.append(f"{draft.name} ({draft.id})")
        db.session.commit()
        text = f"Drafts: {', '.join(drafts)}. They're inactive until you make them active." if drafts else NO_DRAFTS
        return self.go_back(text, ".details_view", "success" if drafts else "error", id=run.id)

    def one(self, identifier: str | None) -> LabRun:
        return LabRun.find(identifier or "") or abort(404)


def check(scenario: Scenario) -> None:
    """InvalidRequest where it can't be run: what it changes may itself have changed since."""
    scenario.check(utcnow().date())
    if scenario.is_simulated:
        check_size(scenario)


NO_DRAFTS = "This run changes no plan and no pack."


class CallsPerDay(Amount):
    """Hundredths of a call, typed as calls."""

    unit = 100


def plan_choices() -> list[SelectChoice]:
    return choices_of((plan.id, sold_title(plan)) for plan in plans())


def pack_choices() -> list[SelectChoice]:
    return choices_of([("", "None"), *((str(pack.id), sold_title(pack)) for pack in packs())])


class HabitForm(RowForm):
    name = StringField("Name", validators=[Required(), Length(max=60)])
    people = Count("People", highest=10_000, validators=[Required()])
    plan_id = SelectField("Plan", choices=plan_choices, coerce=int)
    model = SelectField("Model", choices=model_names)
    calls_per_day = CallsPerDay("Messages a day, on average", highest=100_000, validators=[Required()])
    input_tokens = Count("Input tokens of a message", highest=10**6, validators=[Required()])
    output_tokens = Count("Output tokens of an answer", highest=10**5, validators=[Required()])
    pack_id = SelectField(
        "Pack", choices=pack_choices, coerce=id_or_none, description="What people buy when they run out."
    )
    buys_bps = Percent("Buy when out of credits", highest=10_000, validators=[Required()], default=0)


class HabitTable(AdminTable):
    creates = edits = True
    one = "kind of user"
    intro = "Made-up users for the lab: how many of each kind, and what one does on an ordinary day."
    form = HabitForm
    column_list = ("name", "people", "model", "calls_per_day", "input_tokens", "output_tokens")
    column_labels: ClassVar = {"calls_per_day": "Messages a day"}
    column_formatters: ClassVar[dict[str, Any]] = {
        "calls_per_day": lambda _view, _context, row, _name: f"{row.calls_per_day / 100:g}"
    }
    column_default_sort = "id"
    figures: ClassVar = {"people", "calls_per_day"}
    form_groups: ClassVar = {
        "Who": ("name", "people", "plan_id"),
        "An ordinary day": ("model", "calls_per_day", "input_tokens", "output_tokens"),
        "Out of credits": ("pack_id", "buys_bps"),
    }
