"""Which scene the demo models play for a prompt: a topic, or a failure that was asked for."""

import re
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from app.providers.base import Prompt

TEXTS = Path(__file__).parent / "demo_texts"
COMMAND = re.compile(r"^\s*/demo\b[ \t]*([\w-]*)", re.IGNORECASE)

TOPICS = {
    "code": r"code|python|javascript|sql|program|script|function|api|curl",
    "table": r"tables?|buckets?",
    "plans": r"plans?|subscri\w+|upgrade|downgrade|compare|pricing",
    "receipts": r"receipts?|invoices?|ledger|audit\w*",
    "recharge": r"recharge|run(?:ning)? out|top up|packs?|buy",
    "credits": r"credits?|costs?|prices?|charged?|pay|money|cents?|dollars?|margin",
    "caching": r"cach\w+|cheap\w*|tokens?",
    "teams": r"teams?|members?|invit\w+|colleagues?",
    "failures": r"fail\w*|errors?|broken?|crash\w*|stop",
    "gate": r"gate|refus\w+|limits?|allow\w*|daily",
    "reservation": r"reserv\w+|settl\w+|hold",
    "privacy": r"privacy|private|secure|security|password|delete|gdpr",
    "sweeper": r"sweep\w*|queue|webhooks?|process\w*|how does it work",
    "welcome": r"hello|hi|hey|hallo|help|who are you|tollgate",
}
TOUR = (
    *("welcome", "credits", "gate", "reservation", "receipts", "caching", "plans", "recharge", "failures"),
    *("teams", "privacy", "sweeper", "table", "code"),
)
IDLE_WORDS = re.compile(
    r"(?:a|an|and|are|can|could|demo|do|does|explain|for|give|how|i|in|is|it|me|my|of|on|please|tell|that|the|this|to"
    r"|what|where|which|who|why|with|would|write|you)",
    re.IGNORECASE,
)
OPENINGS = (
    "A fair question. I was built to talk about Tollgate, so allow me to answer the question next to yours.",
    "I could pretend to know. Instead, here is something true about the program that carried your question to me.",
    "Interesting. A real model would have an opinion; I have documentation.",
    "Noted. While a real model thinks about that, let me show you what happens to the bill.",
)
FAILING = (
    "This answer begins like any other. It has a subject, a verb, and every intention of reaching its end.\n\n"
    "Then, somewhere around the second paragraph, the provider "
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What to say, how it ends, and what goes wrong; `failure` is a reason of ProviderError."""

    text: str
    finish: str = "stop"
    failure: str = ""
    slowness: float = 1.0
    thinking: int = 0
    is_hanging: bool = False
    reports_usage: bool = True


def scene_for(prompt: Prompt) -> Scene:
    """The same prompt gets the same scene. A command is its last paragraph: above stands what got no answer."""
    asked = next((message.content for message in reversed(prompt.messages) if message.role == "user"), "")
    if prompt.messages[0].role == "system" and prompt.messages[0].content.startswith("Write a title"):
        return Scene(title_of(asked))
    if command := COMMAND.match(asked.rpartition("\n\n")[2]):
        return commanded(command[1].lower())
    if prompt.messages[-1].images:
        return Scene(text("images"))
    if re.search(r"\blong\b|\bessay\b|\bstory\b", asked, re.IGNORECASE):
        return Scene(grand_tour())
    return Scene(answer_to(asked))


def title_of(talk: str) -> str:
    """The words of the question that say something."""
    question = talk.removeprefix("Question: ").partition("\n")[0]
    text = [word for word in re.findall(r"[^\W_]+", question) if not IDLE_WORDS.fullmatch(word)]
    return " ".join(text[:5]).capitalize() or "A conversation"


def commanded(command: str) -> Scene:
    scenes = {
        "code": Scene(text("code")),
        "table": Scene(text("table")),
        "long": Scene(grand_tour()),
        "reasoning": Scene(text("caching"), thinking=200),
        "slow": Scene(text("reservation"), slowness=15),
        "length": Scene(FAILING + "notices that it was allowed only so many tok", finish="length"),
        "filter": Scene(FAILING, finish="filter"),
        "refusal": Scene(text("refusal"), finish="refusal"),
        "empty": Scene(""),
        "no-usage": Scene(text("receipts"), reports_usage=False),
        "error": Scene(FAILING, failure="unavailable"),
        "cut": Scene(FAILING, failure="cut"),
        "malformed": Scene(FAILING, failure="malformed"),
        "timeout": Scene("", failure="timeout", thinking=100),
        "hang": Scene(FAILING + "falls silent", failure="timeout", is_hanging=True),
        "busy": Scene("", failure="rate_limited"),
        "credentials": Scene("", failure="credentials"),
    }
    return scenes.get(command, Scene(text("help")))


def answer_to(asked: str) -> str:
    """What was asked about, or an opening and two topics that the question itself chooses."""
    for topic, keywords in TOPICS.items():
        if re.search(rf"\b(?:{keywords})\b", asked, re.IGNORECASE):
            return text(topic)
    dice = Random(zlib.crc32(asked.encode("utf-8", "replace")))  # noqa: S311
    first, second = dice.sample(TOUR[1:-1], 2)
    return "\n".join((dice.choice(OPENINGS) + "\n", text(first), text(second)))


def grand_tour() -> str:
    """Everything there is to say, a few thousand words."""
    return "# The grand tour of Tollgate\n\n" + "\n".join(text(topic) for topic in TOUR)


@cache
def text(topic: str) -> str:
    return (TEXTS / f"{topic}.md").read_text(encoding="utf-8")
