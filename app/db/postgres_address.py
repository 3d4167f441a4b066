"""PostgreSQL addresses as platforms write them, turned into what SQLAlchemy and psycopg read."""

from psycopg import pq
from sqlalchemy import URL, make_url

DRIVER = "postgresql+psycopg"
SCHEMES = ("postgres", "postgresql", "postgresql+psycopg2", DRIVER)
FOREIGN = {"pgbouncer", "supa", "connection_limit", "pool_timeout", "statement_cache_size"}
"""What Prisma and Supabase write into an address for others, and PostgreSQL's own library refuses."""


def is_postgres(address: str) -> bool:
    return address.partition("://")[0] in SCHEMES


def is_pooled(address: str) -> bool:
    """Whether the address says itself that a PgBouncer stands before the database."""
    return is_postgres(address) and "pgbouncer=true" in address.partition("?")[2].split("&")


def postgres_url(address: str) -> str:
    """The address for our driver. ValueError where it cannot be read, or says what PostgreSQL does not know."""
    url = several_hosts(address)
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    foreign = FOREIGN | ({"schema"} if url.query.get("schema") == "public" else set())
    kept = {name: value for name, value in url.query.items() if name not in foreign}
    if unknown := sorted(set(kept) - known):
        raise ValueError(f"PostgreSQL knows no {' and no '.join(unknown)} there")
    return url.set(drivername=DRIVER, query=kept).render_as_string(hide_password=False)


def several_hosts(address: str) -> URL:
    """Several hosts stand between commas, each with its port; SQLAlchemy wants each by itself."""
    before, at, after = address.partition("://")[2].rpartition("@")
    hosts, slash, rest = after.partition("/")
    if "," not in hosts:
        return make_url(address)
    url = make_url(f"{DRIVER}://{before}{at}{slash}{rest}")
    return url.update_query_dict({"host": hosts.split(",")})
