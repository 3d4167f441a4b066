"""Images over HTTP in this process: ada with a key, and a painter on loopback that is OpenAI's and Google's."""

from collections.abc import Iterator

import pytest

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImagePrice
from tests.chat.conftest import ada, door
from tests.support.image_server import ImageServer

__all__ = ["ada", "door"]
OPENAI, GOOGLE = "gpt-image-2.5-flare", "gemini-nano-banana-2.1"


@pytest.fixture
def painter() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


@pytest.fixture
def environment(environment: dict[str, str], painter: ImageServer) -> dict[str, str]:
    keys = {"OPENAI_API_KEY": "sk-canary-key", "GEMINI_API_KEY": "google-canary"}
    return environment | keys | {"OPENAI_BASE_URL": painter.openai_url, "GEMINI_BASE_URL": painter.url}


def price_of(model: str, quality: str, size: str) -> ImagePrice:
    """The seeded row."""
    named = {"quality": quality, "size": size}
    return db.session.query(ImagePrice).filter_by(**named).join(AIModel).filter(AIModel.name == model).one()
