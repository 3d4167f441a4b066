"""Products and prices."""

from typing import Any

from sandbox.errors import invalid, unexpected_state
from sandbox.money import check_step
from sandbox.params import Params, flag, integer, merged_metadata, nested, required, text, whole
from sandbox.routes import listed, operation, page, retrieve, wanted
from sandbox.store import Thing
from sandbox.world import Sandbox

PRODUCT_TEXTS = (
    "name",
    "description",
    "url",
    "default_price",
    "unit_label",
    "statement_descriptor",
    "tax_code",
)


@operation("POST", "/v1/products")
def create_product(sandbox: Sandbox, params: Params) -> Thing:
    named = {"id": params["id"]} if params.get("id") else {}
    if named and sandbox.store.find("product", params["id"]):
        raise unexpected_state("Product already exists.", "resource_already_exists")
    product = sandbox.make("product", name=required(params, "name"), updated=sandbox.now, **named)
    product.update(product_fields(product, params))
    sandbox.emit("product.created", product)
    if "default_price_data" in params:
        data = {**nested(params, "default_price_data"), "product": product["id"]}
        product["default_price"] = create_price(sandbox, data)["id"]
    return product


def product_fields(product: Thing, params: Params) -> dict[str, Any]:
    changes: dict[str, Any] = {"metadata": merged_metadata(product["metadata"], params)}
    changes |= {name: text(params, name) for name in PRODUCT_TEXTS if name in params}
    if "active" in params:
        changes["active"] = flag(params, "active")
    return changes


@operation("POST", "/v1/products/{id}")
def update_product(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    product = sandbox.get("product", identity)
    changes = product_fields(product, params)
    return sandbox.change(product, "product.updated", updated=sandbox.now, **changes)


@operation("DELETE", "/v1/products/{id}")
def delete_product(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    product = sandbox.get("product", identity)
    if sandbox.store.where("price", product=identity):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    sandbox.store.remove("product", identity)
    sandbox.emit("product.deleted", product)
    return {"id": identity, "object": "product", "deleted": True}


@operation("POST", "/v1/prices")
def create_price(sandbox: Sandbox, params: Params) -> Thing:
    amount = integer(params, "unit_amount")
    if amount is None:
        raise invalid("You must specify either `unit_amount` or `unit_amount_decimal`.", "unit_amount")
    currency = required(params, "currency")
    check_step(amount, currency, "unit_amount")
    price = sandbox.make(
        "price",
        currency=currency,
        product=product_of(sandbox, params),
        unit_amount=amount,
        unit_amount_decimal=str(amount),
        nickname=text(params, "nickname"),
        tax_behavior=text(params, "tax_behavior", "unspecified"),
        metadata=merged_metadata({}, params),
        active=flag(params, "active", True),
        **recurrence(nested(params, "recurring")),
    )
    take_lookup_key(sandbox, price, params)
    sandbox.emit("price.created", price)
    return price


def product_of(sandbox: Sandbox, params: Params) -> str:
    if "product_data" in params:
        return str(create_product(sandbox, nested(params, "product_data"))["id"])
    return str(sandbox.get("product", required(params, "product"), "product")["id"])


def recurrence(given: Params) -> dict[str, Any]:
    if not given:
        return {"type": "one_time"}
    recurring = {
        "interval": required(given, "interval"),
        "interval_count": whole(given, "interval_count", 1),
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
    return {"type": "recurring", "recurring": recurring}


def take_lookup_key(sandbox: Sandbox, price: Thing, params: Params) -> None:
    key = text(params, "lookup_key")
    if key is None:
        return
    for other in sandbox.store.where("price", lookup_key=key):
        if not flag(params, "transfer_lookup_key"):
            raise invalid("A price already uses that lookup key.", "lookup_key")
        sandbox.change(other, "price.updated", lookup_key=None)
    price["lookup_key"] = key


@operation("POST", "/v1/prices/{id}")
def update_price(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    price = sandbox.get("price", identity)
    changes: dict[str, Any] = {"metadata": merged_metadata(price["metadata"], params)}
    if "active" in params:
        changes["active"] = flag(params, "active")
    if "nickname" in params:
        changes["nickname"] = text(params, "nickname")
    take_lookup_key(sandbox, price, params)
    return sandbox.change(price, "price.updated", **changes)


@operation("GET", "/v1/prices")
def list_prices(sandbox: Sandbox, params: Params) -> Thing:
    matches = sandbox.store.where("price", **wanted(params, "product", "type", "currency", "active"))
    keys = params.get("lookup_keys")
    return page([p for p in matches if not keys or p["lookup_key"] in keys], params, "/v1/prices")


def is_live(sandbox: Sandbox, price: Thing) -> bool:
    return bool(price["active"] and sandbox.get("product", price["product"])["active"])


retrieve("product", "/v1/products")
retrieve("price", "/v1/prices")
listed("product", "/v1/products", "active")
