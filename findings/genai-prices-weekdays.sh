#!/bin/sh
# genai-prices 0.2.3 knows hours of the UTC day, but no weekdays: it prices DeepSeek's peak on a Saturday too, while
# litellm 1.106.4, reading the same page of the vendor, has its off-peak price all day on Saturdays and Sundays.
# Needs Python and a package index. Fails once genai-prices says otherwise.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet genai-prices==0.2.3
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import UTC, datetime
from importlib.metadata import version

from genai_prices import Usage, calc_price

print("genai-prices", version("genai-prices"))
million = Usage(input_tokens=0, output_tokens=1_000_000)
prices = {}
for day, at in {"Friday": datetime(2026, 11, 27, 2, tzinfo=UTC), "Saturday": datetime(2026, 11, 28, 2, tzinfo=UTC)}.items():
    price = calc_price(million, model_ref="deepseek-flash", provider_id="deepseek", genai_request_timestamp=at)
    prices[day] = price.total_price
    print(f"{day} {at:%Y-%m-%d %H:%M} UTC, 10 o'clock in Beijing: ${price.total_price} for a million tokens of output")
assert prices["Saturday"] == prices["Friday"] == 2 * calc_price(
    million, model_ref="deepseek-flash", provider_id="deepseek",
    genai_request_timestamp=datetime(2026, 11, 28, 12, tzinfo=UTC),
).total_price, prices
PYTHON
