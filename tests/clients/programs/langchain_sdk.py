"""LangChain's package for OpenAI's format: whole, as a stream, a loop with a tool, embeddings."""

import json
import os
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


def tell(name: str, said: Any) -> None:
    print(json.dumps({name: said}))  # noqa: T201


@tool
def look(place: str) -> str:
    """What is there."""
    return f"{place} is sunny"


model = ChatOpenAI(model=os.environ["MODEL"])
tell("whole", model.invoke("hello").content)
tell("stream", "".join(str(piece.content) for piece in model.stream("hello")))
able = model.bind_tools([look])
said: list[Any] = [HumanMessage("hello")]
said.append(able.invoke(said))
said.extend(look.invoke(call) for call in said[-1].tool_calls)
tell("tool", able.invoke(said).content)
tell(
    "vectors",
    [
        len(vector)
        for vector in OpenAIEmbeddings(model=os.environ["EMBEDDER"], check_embedding_ctx_length=False).embed_documents(
            ["one", "two"]
        )
    ],
)
