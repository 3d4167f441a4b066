"""`make bench`: every measurement, one after another, and docs/bench.md; arguments choose some by name."""

import os
import sys
import time
from collections.abc import Callable

from bench import browser, dialects, distance, history, report, reserve_settle, streams, webhooks
from bench.metrics import Measure

Found = tuple[list[Measure], list[str]]
PARTS: dict[str, Callable[[], Found]] = {
    "streams": streams.measured,
    "slow": streams.many_slow,
    "pairs": reserve_settle.measured,
    "history": lambda: (history.measured(), []),
    "webhooks": lambda: (webhooks.measured(), []),
    "screen": lambda: (browser.measured(), []),
    "distance": lambda: (distance.measured(), []),
    "dialects": lambda: (dialects.measured(), []),
    "sqlite": lambda: ([streams.on_sqlite()], []),
}


def main() -> None:
    load_before = os.getloadavg()[0]
    chosen = sys.argv[1:] or list(PARTS)
    measures: list[Measure] = []
    remarks: list[str] = []
    for place, name in enumerate(chosen, start=1):
        began = time.monotonic()
        print(f"[{place}/{len(chosen)}] {name} ...", flush=True)
        results, said = PARTS[name]()
        for measure in results:
            print(f"    {report.line_of(measure)}", flush=True)
        print(f"    {time.monotonic() - began:.0f} s", flush=True)
        measures, remarks = measures + results, remarks + said
    if chosen == list(PARTS):
        print(f"written: {report.write(measures, remarks, load_before).name} in docs/", flush=True)


if __name__ == "__main__":
    main()
