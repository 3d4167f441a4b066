"""11: the gateway's three formats and the chat's own, asked in turns: what each adds to the first token."""

from statistics import median

from bench.environment import QUESTION, Request, Target, load, stage
from bench.metrics import MODEL, Measure, either, ratio_of

ROUNDS, WARM_UP = either(400, 60), 30
SAID = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 4096}
BODIES = {
    "/v1/chat/completions": SAID,
    "/v1/messages": SAID,
    "/v1/responses": {"input": QUESTION, "max_output_tokens": 4096},
}


def measured() -> list[Measure]:
    with stage() as running:
        ours, direct = running.tollgate(chats=ROUNDS + WARM_UP + len(BODIES)), running.direct()
        turn = [direct, ours, *(dialect(ours, path) for path in BODIES)]
        in_turns(turn, WARM_UP)
        waits = in_turns(turn, ROUNDS)
    beside, own, *others = (median(waits[target.name]) for target in turn)
    return [
        ratio_of(
            11,
            f"added to the first token, {path} against /api",
            "ms",
            wait - beside,
            own - beside,
            target=1.1,
        )
        for path, wait in zip(BODIES, others, strict=True)
    ]


def dialect(ours: Target, path: str) -> Target:
    """The same process and key, asked in that format."""
    known = ours.ask(QUESTION)
    body = {"model": MODEL, "stream": True, **BODIES[path]}
    return Target(path, ours.pid, lambda _: {**known, "path": path, "body": body})


def in_turns(targets: list[Target], rounds: int) -> dict[str, list[float]]:
    """Milliseconds to each first token by name: one request at a time, and who comes first changes by the round."""
    names: list[str] = []
    requests: list[Request] = []
    for number in range(rounds):
        first = number % len(targets)
        for target in targets[first:] + targets[:first]:
            names.append(target.name)
            requests.append(target.ask(QUESTION))
    results = load(requests, 1)
    if results["failed"]:
        raise RuntimeError(f"{results['failed']} answers failed")
    waits: dict[str, list[float]] = {target.name: [] for target in targets}
    for name, wait in zip(names, results["first_token_ms"], strict=True):
        waits[name].append(wait)
    return waits
