"""The price list of images: a fixed price for each model, quality and size, beside what the last ones cost us."""

from typing import Any, ClassVar

from flask import g
from flask_login import current_user
from sqlalchemy import select
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length

from app.admin.cell_formats import per_million as exact
from app.admin.cell_formats import shown
from app.admin.form_fields import DollarsPerMillion, FieldError, Moment, Required, RowForm, choices_of
from app.admin.model_view import AdminTable
from app.admin.prices import begin_now_or_later
from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImagePrice
from app.models.metering.image_costs import MeanCost, loss_making, mean_costs

WORDS = "quality", "size", "price_nanos"


def painters() -> list[SelectChoice]:
    named = select(AIModel.id, AIModel.name).where(AIModel.makes_images).order_by(AIModel.name)
    return choices_of((row.id, row.name) for row in db.session.execute(named))


class ImagePriceForm(RowForm):
    model_id = SelectField("Model", choices=painters, coerce=int, validators=[Required()])
    quality = StringField(
        "Quality",
        validators=[Required(), Length(max=40)],
        description="The provider's own word, sent unchanged.",
    )
    size = StringField(
        "Size",
        validators=[Required(), Length(max=40)],
        description="Such as 1024x1024, or 16:9 2K for Google.",
    )
    price_nanos = DollarsPerMillion("Price of an image", validators=[Required()])
    effective_from = Moment("From (UTC)", description="Empty: now. Earlier calls keep their price.")


class ImagePriceTable(AdminTable):
    creates = edits = True
    one = "image price"
    intro = (
        "What you charge for an image, in dollars. Providers charge by tokens; the difference is yours. "
        "Each change is a new row; prices already charged never change."
    )
    searches = "model"
    form = ImagePriceForm
    list_template = "admin/image_prices.html"
    column_list = (
        "model.name",
        "quality",
        "size",
        "price_nanos",
        "mean_cost",
        "effective_from",
        "approved_at",
    )
    column_labels: ClassVar = {"mean_cost": "Last 50 cost", "effective_from": "From"}
    column_formatters: ClassVar = {
        "price_nanos": shown(exact),
        "mean_cost": lambda _view, _context, price, _name: told(recent().get(price.id)),
    }
    column_select_related_list = (ImagePrice.model,)
    column_sortable_list = ("model.name", "quality", "size", "price_nanos", "effective_from")
    column_searchable_list = ("model.name", "model.title")
    column_default_sort = [("effective_from", True), ("id", False)]  # noqa: RUF012
    figures: ClassVar = {"mean_cost"}

    def title_of(self, row: ImagePrice) -> str:
        return f"{row.model.name} {row.quality} {row.size}"

    def render(self, template: str, **context: Any) -> str:
        return super().render(template, alarms=alarms() if template == self.list_template else [], **context)

    def fit(self, form: RowForm, row: ImagePrice) -> None:
        """Model, quality and size stay: another price of the same is a row from now on, or from the day typed."""
        del form.model_id
        if not form.effective_from.raw_data:
            form.effective_from.data = None

    def update_model(self, form: ImagePriceForm, model: ImagePrice) -> bool:
        """Nothing is edited: a new row is written."""
        place = {"model_id": model.model_id} | {name: getattr(model, name) for name in WORDS}
        return self.save(form, ImagePrice(**place), is_created=True) is not None

    def on_model_change(self, form: ImagePriceForm, price: ImagePrice, is_created: bool) -> None:
        if not price.price_nanos:
            raise FieldError("price_nanos", "An image needs a price. To stop selling it, turn the model off.")
        price.quality, price.size = price.quality.strip(), price.size.strip()
        begin_now_or_later(price)
        price.approve(current_user.user_id)


def recent() -> dict[int, MeanCost]:
    """Read once a page."""
    if "image_costs" not in g:
        g.image_costs = mean_costs()
    costs: dict[int, MeanCost] = g.image_costs
    return costs


def told(mean: MeanCost | None) -> str:
    return f"{exact(mean.each)} ({mean.images})" if mean else ""


def alarms() -> list[str]:
    """The prices that their last images have cost more than, in sentences."""
    return [
        f"{price.model.name}, {price.quality}, {price.size}: the last {mean.images} images cost "
        f"{exact(mean.each)} each, above the price of {exact(price.price_nanos)}. Every one is sold at a loss."
        for price, mean in loss_making()
    ]
