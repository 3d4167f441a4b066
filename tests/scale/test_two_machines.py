"""Money, events and running answers on two machines that share a database, behind PgBouncer, and a Redis."""

from concurrent.futures import ThreadPoolExecutor

import requests

from app.jobs import enqueue
from app.models.billing.audit import audit
from app.models.catalog.setting import Setting
from app.models.chat.chat import Chat, Message
from app.models.metering.usage import Usage
from tests.payments.stripe_scenario import StripeScenario
from tests.support import Database, people
from tests.support.cuttable import CuttableLine
from tests.support.databases import Databases
from tests.support.people import Heard, heard
from tests.support.pgbouncer import POOL
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that
from tests.support.scraping import HEADERS, Scrape

AT_ONCE = 30
MONEY_FOR_ONE = (len("hello") + 32) * 2500 + 256 * 10_000


def answers(session: Database) -> list[Message]:
    session.rollback()
    return session.query(Message).filter_by(role="assistant").order_by(Message.id).all()


def ask(machine: RunningApp, headers: dict[str, str], chat: str, content: str) -> Heard:
    path = f"{machine.url}/api/chats/{chat}/messages"
    return heard(requests.post(path, json={"content": content}, headers=headers, timeout=60).content)


def test_a_chat_begun_on_one_is_stopped_and_gone_on_with_on_the_other(
    machines: list[RunningApp], adas: dict[str, str], session: Database, provider: ProviderServer
) -> None:
    one, other = machines
    provider.configure(delay=0.05, tokens=400)
    new = requests.post(f"{one.url}/api/chats", json={"model": "gpt-test"}, headers=adas, timeout=30)
    chat = new.json()["id"]
    with ThreadPoolExecutor(1) as reading:
        began = reading.submit(ask, one, adas, chat, "hello")
        await_that(lambda: any(message.content for message in answers(session)), 30)
        message = answers(session)[-1].id
        requests.post(f"{other.url}/api/messages/{message}/stop", headers=adas, timeout=30)
        follow = requests.get(f"{other.url}/api/messages/{message}/stream", headers=adas, timeout=30)
        stopped = began.result(30)
    provider.reset()
    next_one = ask(other, adas, chat, "and now?")

    assert stopped.end["code"] == heard(follow.content).end["code"] == "stopped"
    assert stopped.text == heard(follow.content).text == answers(session)[0].content
    assert heard(follow.content).end["cost_nanos"] > 0
    assert next_one.ended_as == "done"
    assert [said["content"] for said in provider.last["body"]["messages"]] == [
        "hello",
        stopped.text,
        "and now?",
    ]
    assert list(audit()) == []


def test_of_many_sends_to_both_with_money_for_one_exactly_one_is_accepted(
    machines: list[RunningApp], session: Database, provider: ProviderServer
) -> None:
    provider.configure(delay=0.05, tokens=10)
    people.model("gpt-dear")
    Setting.put("overdraft", 0)
    Setting.put("parallel_calls", 1000)
    bob = people.person("bob", credits=MONEY_FOR_ONE)
    owner = bob.memberships[0].user_id
    chats = [Chat(account_id=bob.id, user_id=owner, model="gpt-dear") for _ in range(AT_ONCE)]
    session.add_all(chats)
    headers = {"Authorization": f"Bearer {people.api_key(bob)}"}
    sends = [(f"{machines[n % 2].url}/api/chats/{chat.id}/messages", headers) for n, chat in enumerate(chats)]
    session.commit()
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        codes = list(crowd.map(lambda send: status_of(*send), sends))
    provider.reset()

    assert (codes.count(200), set(codes) - {200, 402, 429}) == (1, set())
    await_that(lambda: not session.query(Usage).filter_by(state="running").count(), 30)
    assert list(audit()) == []


def status_of(url: str, headers: dict[str, str]) -> int:
    return requests.post(url, json={"content": "hello"}, headers=headers, timeout=60).status_code


def test_what_is_bought_and_recharged_is_credited_once(scenario: StripeScenario, machines: list[RunningApp]) -> None:
    """Events come twice and out of order, to whichever machine; two workers do what they ring for."""
    scenario.sandbox.control("faults", fault="duplicate", count=100)
    scenario.sandbox.control("faults", fault="reorder", count=4)
    scenario.sandbox.pay(scenario.begin_pack())
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    logs = lambda: "".join(machine.log("worker")[-2000:] for machine in machines)  # noqa: E731
    await_that(lambda: (scenario.credits, scenario.allowance) == (5000, 10000), 60, failing=logs)
    scenario.sandbox.control("clock", to="next_renewal")
    await_that(lambda: scenario.kinds().count("refill") == 2, 60, failing=logs)
    scenario.turn_on_recharge(below=20_000)
    for _ in range(10):
        enqueue("app.payments.jobs.recharge", scenario.account_id)
    await_that(lambda: scenario.credits >= 10_000, 60, failing=logs)
    scenario.sandbox.wait_until_idle(60)
    await_that(scenario.is_queue_empty, 60)

    assert (scenario.credits, len(scenario.recharges())) == (10_000, 1)
    assert sorted(scenario.kinds()) == ["purchase", "recharge", "refill", "refill"]
    assert list(audit()) == []


def test_both_tell_the_same_figures(machines: list[RunningApp], line: CuttableLine) -> None:
    def told(machine: RunningApp) -> Scrape:
        return Scrape(requests.get(f"{machine.url}/metrics", headers=HEADERS, timeout=30).text)

    await_that(lambda: told(machines[0]).of("refusals_total") == told(machines[1]).of("refusals_total"), 30)
    for name in ("calls_total", "provider_cost_nanos_total", "workers", "stripe_events"):
        assert told(machines[0]).of(name) == told(machines[1]).of(name), name
    assert told(machines[0]).of("workers") == 2


def test_all_of_it_went_through_few_connections(all_databases: Databases, machines: list[RunningApp]) -> None:
    name = machines[0].own["DATABASE_URL"].rsplit("/", 1)[1]
    (pool,) = [row for row in all_databases.bouncer.told("SHOW POOLS") if row["database"] == name]
    (stats,) = [row for row in all_databases.bouncer.told("SHOW STATS") if row["database"] == name]
    held = sum(int(str(pool[state])) for state in ("sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login"))

    assert pool["pool_mode"] == "transaction"
    assert 0 < held <= POOL < int(str(pool["cl_active"])) + int(str(pool["cl_waiting"]))
    assert int(str(stats["total_xact_count"])) > 100
