"""The small things: the account itself, events, webhook endpoints, portal sessions and their configuration."""

from sandbox.params import Params, flag, merged_metadata, nested, required, text
from sandbox.routes import listed, operation, page, retrieve
from sandbox.shapes import blank, new_id
from sandbox.store import Thing
from sandbox.world import API_VERSION, Sandbox

EVENTS_KEPT = 30 * 86400


@operation("GET", "/v1/account")
def account(sandbox: Sandbox, params: Params) -> Thing:
    return {**blank("account"), "id": sandbox.store.account_id}


@operation("GET", "/v1/events")
def list_events(sandbox: Sandbox, params: Params) -> Thing:
    """Those of the last 30 days; `type` (which may end in `*`) or `types`."""
    recent = [one for one in sandbox.store.all("event") if one["created"] > sandbox.now - EVENTS_KEPT]
    kinds = params.get("types") or ([params["type"]] if "type" in params else None)
    return page([one for one in recent if kinds is None or is_of(one["type"], kinds)], params, "/v1/events")


def is_of(kind: str, wanted: list[str]) -> bool:
    return any(kind == one or (one.endswith("*") and kind.startswith(one[:-1])) for one in wanted)


@operation("POST", "/v1/webhook_endpoints")
def create_endpoint(sandbox: Sandbox, params: Params) -> Thing:
    """The one answer that shows the secret."""
    secret = f"whsec_{new_id('event')[4:]}"
    endpoint = add_endpoint(sandbox, required(params, "url"), secret, required(params, "enabled_events"))
    endpoint["metadata"] = merged_metadata({}, params)
    endpoint["api_version"] = text(params, "api_version", API_VERSION)
    return {**endpoint, "secret": secret}


def add_endpoint(sandbox: Sandbox, url: str, secret: str, events: list[str]) -> Thing:
    return sandbox.make("webhook_endpoint", url=url, enabled_events=events, _secret=secret)


@operation("DELETE", "/v1/webhook_endpoints/{id}")
def delete_endpoint(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    sandbox.get("webhook_endpoint", identity)
    sandbox.store.remove("webhook_endpoint", identity)
    return {"id": identity, "object": "webhook_endpoint", "deleted": True}


@operation("POST", "/v1/billing_portal/sessions")
def create_portal(sandbox: Sandbox, params: Params) -> Thing:
    customer = sandbox.get("customer", required(params, "customer"), "customer")
    configuration = text(params, "configuration") or default_configuration(sandbox)["id"]
    session = sandbox.make(
        "billing_portal.session",
        customer=customer["id"],
        configuration=configuration,
        return_url=text(params, "return_url"),
        locale=text(params, "locale"),
    )
    session["url"] = f"{sandbox.base_url}/portal/{session['id']}"
    return session


def default_configuration(sandbox: Sandbox) -> Thing:
    matches = sandbox.store.where("billing_portal.configuration", is_default=True)
    return matches[-1] if matches else create_configuration(sandbox, {})


@operation("POST", "/v1/billing_portal/configurations")
def create_configuration(sandbox: Sandbox, params: Params) -> Thing:
    configuration = sandbox.make("billing_portal.configuration", updated=sandbox.now)
    configuration["default_return_url"] = text(params, "default_return_url")
    configuration["metadata"] = merged_metadata({}, params)
    configuration["is_default"] = len(sandbox.store.all("billing_portal.configuration")) == 1
    for name, wanted in nested(params, "features").items():
        allowed = {key: value for key, value in wanted.items() if key != "enabled"}
        enabled = flag(wanted, "enabled")
        configuration["features"][name] = {**configuration["features"][name], **allowed, "enabled": enabled}
    return configuration


retrieve("event", "/v1/events")
retrieve("webhook_endpoint", "/v1/webhook_endpoints")
listed("webhook_endpoint", "/v1/webhook_endpoints")
retrieve("billing_portal.configuration", "/v1/billing_portal/configurations")
listed("billing_portal.configuration", "/v1/billing_portal/configurations", "active", "is_default")
