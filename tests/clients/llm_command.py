"""The command `llm`, which knows OpenAI's models by name."""

from tests.clients.conftest import Installed
from tests.clients.tools import HELLO, OPENAI_MODEL, Gateway

PACKAGES = ("llm==0.36",)


def test_llm(gateway: Gateway, installed: Installed) -> None:
    llm = installed("llm", *PACKAGES).parent / "llm"
    for options in ([], ["--no-stream"]):
        assert gateway.run([llm, "-m", OPENAI_MODEL, *options, "hello"], OPENAI_MODEL).strip() == HELLO
    assert len(gateway.calls()) == 2
