#!/bin/sh
# litserve 0.2.19: a stream of its OpenAISpec ends with a usage of zeros unless the served model yields counts itself, and litgpt 0.5.13's
# does not. A reader that takes the last chunk's usage for a report meters such answers at nothing; zeros alone are no report.
# Needs Python and a package index. Fails once the stream reports what was written.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet litserve==0.2.19
cd "$folder"
cat > server.py <<'PYTHON'
import sys

import litserve


class Words(litserve.LitAPI):
    def setup(self, device):
        pass

    def predict(self, prompt):
        yield from ("one ", "two ", "three ")


if __name__ == "__main__":
    server = litserve.LitServer(Words(spec=litserve.OpenAISpec()), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
PYTHON
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/python" server.py "$port" > log 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$folder"' EXIT
"$folder/venv/bin/python" - "$port" <<'PYTHON'
import json
import sys
import time
import urllib.error
import urllib.request

address = f"http://127.0.0.1:{sys.argv[1]}"
for _ in range(300):
    try:
        urllib.request.urlopen(f"{address}/health", timeout=5)
        break
    except (urllib.error.URLError, OSError):
        time.sleep(0.2)
asked = {"model": "m", "stream": True, "max_tokens": 2, "stream_options": {"include_usage": True},
         "messages": [{"role": "user", "content": "count"}]}
request = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(asked).encode(),
                                 {"Content-Type": "application/json"})
lines = [line[6:] for line in urllib.request.urlopen(request, timeout=60).read().decode().splitlines() if line.startswith("data: ")]
chunks = [json.loads(line) for line in lines if line != "[DONE]"]
text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
print("wrote", repr(text), "reported", usages)
assert text == "one two three "
assert usages and all(not any(usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")) for usage in usages)
PYTHON
echo "as described: text came, and a usage of zeros"
