"""The gateway: the vendors' own packages, and tools that use them, on the same gate as a chat message."""

from flask import Flask, Response, g, request

from app.gateway import calls, catalog, count_tokens, embeddings
from app.gateway.blueprint import gateway


def init_app(app: Flask) -> None:
    app.register_blueprint(gateway)


@gateway.after_request
def name_request(response: Response) -> Response:
    """Anthropic's package looks for the id of a request under its own name."""
    response.headers["request-id"] = g.request_id
    return response


@gateway.after_request
def let_browsers_read(response: Response) -> Response:
    """Programs in pages of any origin: they have a key or nothing, since no cookie counts here."""
    response.headers["Access-Control-Allow-Origin"] = response.headers["Access-Control-Expose-Headers"] = "*"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Allow-Headers"] = "Authorization, *"
        response.headers["Access-Control-Max-Age"] = "7200"
    return response
