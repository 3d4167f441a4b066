"""Providers, and the models that they serve: on sale or not."""

from typing import ClassVar

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.contrib.sqla.filters import BooleanEqualFilter
from sqlalchemy import or_, select
from wtforms import BooleanField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, Optional, Regexp

from app.admin.access import owners_only, wants_on
from app.admin.bulk_retirement import BulkRetire
from app.admin.form_fields import Count, FieldError, Moment, Required, RowForm, choices_of
from app.admin.model_view import AdminTable
from app.admin.plan_forms import order_among
from app.admin.provider_check import tried
from app.extensions import db
from app.models.base import has_text
from app.models.catalog.ai_model import AIModel
from app.models.catalog.operation import OperationRow
from app.models.catalog.plan import Plan
from app.models.catalog.provider_account import ProviderAccount
from app.models.identity.api_key import ApiKey
from app.models.metering.usage import Usage
from app.models.operations.lab_run import Habit

KINDS = choices_of(
    [
        ("openai", "OpenAI's chat completions"),
        ("anthropic", "Anthropic's messages"),
        ("google", "Google's generateContent, for images"),
        ("demo", "the offline demo"),
    ]
)
LIMIT_NAMES = choices_of(
    [
        ("", "automatic"),
        ("max_tokens", "max_tokens"),
        ("max_completion_tokens", "max_completion_tokens"),
        ("both", "both, for your own server"),
    ]
)
UNSTATED = (
    "Nobody has stated how many tokens its host adds to a prompt. You pay for what it reports above the reservation "
    "until the report of a first call has taught it. Put a figure into its form, or 0."
)
SPEEDS = choices_of((speed, speed) for speed in ("fast", "medium", "slow"))
ONLY = {
    "anthropic": ("text", "Models by Anthropic's format write text only."),
    "google": ("images", "Models by Google's format make images only. Reach the others by OpenAI's format."),
}
"""The one thing that a kind of provider makes; the others make everything."""

USED = (
    "This model has been used, or a plan, key, operation, user kind or model names it, so its id can't change. "
    "Add another model."
)
NO_KEY_NAME = "Use capital letters, ending with _API_KEY."
NO_ADDRESS_NAME = "Use capital letters, ending with _BASE_URL."
NO_ADDRESS = "An address that begins with https:// (http:// on this machine or in a private network only)."
PRIVATE_HOST = r"(localhost|\[::1\]|127\.0\.0\.1|10(\.\d+){3}|192\.168(\.\d+){2}|172\.(1[6-9]|2\d|3[01])(\.\d+){2})"


class ProviderForm(RowForm):
    name = StringField("Name", validators=[Required(), Length(max=80)])
    kind = SelectField("Speaks", choices=KINDS)
    base_url = StringField(
        "Address",
        validators=[
            Optional(),
            Regexp(rf"https://[^\s@]+$|http://{PRIVATE_HOST}(:\d+)?(/|$)", message=NO_ADDRESS),
        ],
        description="Leave empty for the provider's own address. For OpenAI's format, include /v1.",
    )
    key_variable = StringField(
        "Variable with the key",
        validators=[Optional(), Regexp(r"[A-Z][A-Z0-9_]*_API_KEY$", message=NO_KEY_NAME)],
        description="Keys stay in the environment. Only the variable's name is stored here.",
    )
    base_url_variable = StringField(
        "Variable for another address",
        validators=[Optional(), Regexp(r"[A-Z][A-Z0-9_]*_BASE_URL$", message=NO_ADDRESS_NAME)],
    )
    limit_name = SelectField(
        "Output limit field",
        choices=LIMIT_NAMES,
        description="Automatic: the new name for OpenAI and Azure, the old one for most others.",
    )
    service_tier = StringField(
        "Service tier",
        validators=[Optional(), Length(max=32), Regexp(r"[\w-]+$", message="One word.")],
        description="Sent with each call, so that the price is certain: OpenAI's default, Anthropic's standard_only.",
    )
    reports_running = BooleanField(
        "Reports usage while streaming",
        description="It sends usage with each chunk (llama.cpp, vLLM): a stopped answer is charged to the token.",
    )
    is_gateway = BooleanField(
        "Behind a gateway",
        description="LiteLLM and the like count tokens themselves and report cut answers as complete. Receipts say so.",
    )
    is_enabled = BooleanField("In use", default=True)


class ProviderTable(AdminTable):
    creates = edits = True
    one = "provider"
    intro = "Where your models run, and which environment variable holds each key."
    form = ProviderForm
    list_template = "admin/providers.html"
    column_list = ("name", "kind", "address", "key_variable", "is_usable", "is_enabled")
    column_labels: ClassVar = {
        "kind": "Speaks", "key_variable": "Key", "is_usable": "Has a key", "is_enabled": "In use",
    }  # fmt: skip

    def on_model_change(self, form: ProviderForm, provider: ProviderAccount, is_created: bool) -> None:
        for name in ("base_url", "key_variable", "base_url_variable", "limit_name", "service_tier"):
            setattr(provider, name, getattr(provider, name) or None)

    @expose("/try/", methods=("POST",))
    @owners_only
    def try_view(self) -> ResponseReturnValue:
        """Ask one of its models something small, and say whether it answered."""
        trial = tried(self.row_asked_for())
        return self.go_back(trial.text, ".index_view", "success" if trial.works else "error")


def providers() -> list[SelectChoice]:
    named = db.session.execute(select(ProviderAccount.id, ProviderAccount.name).order_by(ProviderAccount.name))
    return choices_of((row.id, row.name) for row in named)


def successors() -> list[SelectChoice]:
    names = db.session.scalars(select(AIModel.name).order_by(AIModel.name))
    return choices_of([("", "none"), *((name, name) for name in names)])


class ModelForm(RowForm):
    name = StringField(
        "ID",
        validators=[
            Required(),
            Length(max=120),
            Regexp(r"[\w.:/-]+$", message="Letters, digits and . : / - _ only."),
        ],
        description="The id that API requests use.",
    )
    title = StringField("Title", validators=[Required(), Length(max=120)])
    provider_id = SelectField("Provider", choices=providers, coerce=int)
    upstream_name = StringField("Provider's model name", description="Leave empty if it's the same as the id.")
    is_for_sale = BooleanField("For sale", default=True)
    is_free_for_guests = BooleanField(
        "Free for guests", description="For visitors without an account, if settings allow it. You pay."
    )
    context_window = Count(
        "Context window", lowest=1, highest=10**8, validators=[Required()], description="Tokens, in and out."
    )
    max_input_tokens = Count(
        "Maximum input",
        lowest=1,
        highest=10**8,
        description="Leave empty to use the rest of the context window.",
    )
    max_output_tokens = Count("Maximum output", lowest=1, highest=10**8, validators=[Required()], description="Tokens.")
    sold_until = Moment(
        "Sold until (UTC)",
        description="From then on it's hidden and refused. Users get an email 30 days before.",
    )
    successor = SelectField("Then", choices=successors, description="The model we suggest instead.")
    fallback = SelectField(
        "If it fails, ask",
        choices=successors,
        description="Tried when the provider fails before the first word, unless it could cost more.",
    )
    is_reasoning = BooleanField("Reasons before it answers")
    takes_images = BooleanField("Reads images")
    makes_images = BooleanField("Makes images", description="And nothing else. Set prices under Image prices.")
    is_embedding = BooleanField("Makes embeddings", description="Called at /v1/embeddings only; it writes no text.")
    image_tokens = Count(
        "Maximum tokens per image",
        lowest=1,
        highest=10**6,
        description="Reserved for each image. Leave empty for the provider's rule.",
    )
    extra_input_tokens = Count(
        "Tokens the host adds to a prompt",
        lowest=0,
        highest=10**6,
        description="Reserved on top of the prompt. Empty: unknown, learned from reports.",
    )
    limit_name = SelectField(
        "Output limit field",
        choices=LIMIT_NAMES,
        description="Set automatically once a model writes more than it was asked for.",
    )
    speed = SelectField("Speed", choices=SPEEDS, default="medium")
    position = order_among(AIModel)


class ModelTable(BulkRetire, AdminTable):
    creates = edits = True
    kept = "Calls of a retired model are refused from now on."
    one = "model"
    intro = "A model is offered when it's for sale, has an approved price, and its provider has a key."
    searches = "id or title"
    form = ModelForm
    list_template = "admin/models.html"
    column_list = ("name", "title", "provider.name", "is_for_sale", "is_free_for_guests", "context_window",
                   "max_output_tokens", "extra_input_tokens", "sold_until", "position")  # fmt: skip
    column_labels: ClassVar = {
        "name": "ID", "is_for_sale": "For sale", "is_free_for_guests": "Guests", "extra_input_tokens": "Host adds",
    }  # fmt: skip
    column_formatters: ClassVar = {"extra_input_tokens": lambda _view, _context, model, _name: added(model)}
    column_sortable_list = ("name", "title", "is_for_sale", "context_window", "max_output_tokens", "position")
    column_searchable_list = ("name", "title")
    column_filters = (BooleanEqualFilter(AIModel.is_for_sale, "For sale"),)
    column_default_sort = [("position", False), ("id", False)]  # noqa: RUF012
    figures: ClassVar = {"context_window", "position"}

    def on_model_change(self, form: ModelForm, model: AIModel, is_created: bool) -> None:
        model.upstream_name = model.upstream_name or None
        model.limit_name = model.limit_name or None
        model.successor = model.successor or None
        model.fallback = model.fallback or None
        for field in ("successor", "fallback"):
            if getattr(model, field) == model.name:
                raise FieldError(field, "A model can't replace itself.")
        if model.is_embedding and model.makes_images:
            raise FieldError("is_embedding", "A model makes images or embeddings, not both.")
        makes = "embeddings" if model.is_embedding else "images" if model.makes_images else "text"
        only, text = ONLY.get(db.session.get_one(ProviderAccount, model.provider_id).kind, (makes, ""))
        if makes != only:
            raise FieldError("provider_id", text)
        before = form.name.object_data
        if not is_created and model.name != before and (was_called(before) or is_named(before)):
            raise FieldError("name", USED)

    def get_save_return_url(self, model: AIModel, is_created: bool = False) -> str:
        """A new model needs a price before it is offered."""
        if not is_created or model.makes_images:
            return str(super().get_save_return_url(model, is_created))
        flash(f"{model.name} needs a price before it's offered.", "warning")
        return url_for("price.create_view", model_id=model.id)

    def retire(self, row: AIModel) -> bool:
        was_for_sale, row.is_for_sale = row.is_for_sale, False
        return was_for_sale

    @expose("/sale/", methods=("POST",))
    @owners_only
    def sale_view(self) -> ResponseReturnValue:
        """Put it on sale, or take it off."""
        model = self.row_asked_for()
        model.is_for_sale = wants_on()
        self.record("edit", model)
        db.session.commit()
        flash(f"{model.name} is {'for sale' if model.is_for_sale else 'no longer for sale'}.", "success")
        if model.is_for_sale and model.extra_input_tokens is None:
            flash(UNSTATED, "warning")
        return redirect(self.get_url(".index_view"))


def added(model: AIModel) -> str:
    """The most that its host adds to a prompt."""
    return "not stated" if model.extra_input_tokens is None else f"{model.extra_input_tokens:,}"


def is_named(name: str) -> bool:
    """Whether a plan, a key, an operation, a kind of user or another model names it, which would lose it."""
    naming = (
        select(Plan.id).where(has_text(Plan.models, name)),
        select(ApiKey.id).where(has_text(ApiKey.models, name)),
        select(OperationRow.id).where(OperationRow.default_model == name),
        select(AIModel.id).where(or_(AIModel.successor == name, AIModel.fallback == name)),
        select(Habit.id).where(Habit.model == name),
    )
    return any(db.session.scalar(rows.limit(1)) is not None for rows in naming)


def was_called(name: str) -> bool:
    return db.session.scalar(select(Usage.id).where(Usage.model == name).limit(1)) is not None
