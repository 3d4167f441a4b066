"""Reads what `/metrics` says, as a Prometheus would."""

from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-token-for-prometheus"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


class Scrape:
    """One answer of `/metrics`: `of("calls_total", model="x")` sums the samples that have these labels."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def of(self, name: str, **labels: str) -> float | None:
        """None where there is no such sample."""
        fitting = [
            sample.value
            for sample in self.samples
            if sample.name == f"tollgate_{name}" and labels.items() <= sample.labels.items()
        ]
        return sum(fitting) if fitting else None

    @property
    def names(self) -> set[str]:
        """What a rule may refer to, whether or not it has a sample by now."""
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        return {f"{family.name}{ending}" for family in self.families for ending in endings.get(family.type, ("",))}
