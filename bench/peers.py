"""Peers whose packages install: the proxies of LiteLLM, without a database, Portkey and TensorZero, and nginx."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

from bench.environment import PROJECT, Stage, Target, asking
from bench.metrics import MODEL
from devserver.ports import free_port
from tests.support.running_app import await_that

LITELLM = "litellm[proxy]>=1.105,<1.110"
"""The newest of these whose own requirements can be met."""

PORTKEY = "@portkey-ai/gateway@1.15.2"
HOME = PROJECT / ".venv-bench"
GATEWAY = HOME / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
TENSORZERO = "tensorzero==2026.6.0"
PIP = [str(HOME / "bin" / "pip"), "install", "-q"]
PATIENCE = 900
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")

NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 1;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    upstream provider {{ server 127.0.0.1:{provider}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://provider; proxy_buffering off; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}
}}
"""
CONFIG = """
[gateway]
observability.enabled = false
[models.{model}]
routing = ["bench"]
[models.{model}.providers.bench]
type = "openai"
model_name = "{model}"
api_base = "{address}"
api_key_location = "none"
"""
EMBEDDED = """
import sys, time, openai, tensorzero
client = openai.OpenAI(api_key="none")
tensorzero.patch_openai_client(client, config_file=sys.argv[1], async_setup=False)
print(client.base_url, flush=True)
time.sleep(86400)
"""


def peers(stage: Stage) -> tuple[list[Target], list[str]]:
    """Those that Tollgate is compared with, and what is to be said of those that do not run or answer."""
    return started(stage, {"LiteLLM": litellm, "Portkey": portkey})


def floors(stage: Stage) -> tuple[list[Target], list[str]]:
    """What a gateway in Rust, and a pass-through in C, come to without metering."""
    return started(stage, {"TensorZero": tensorzero, "nginx": nginx})


def started(stage: Stage, programs: Mapping[str, Callable[[Stage], Target]]) -> tuple[list[Target], list[str]]:
    results, missing = [], []
    for name, start in programs.items():
        try:
            target = start(stage)
            target.load(2, 1)
            results.append(target)
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:
            missing.append(f"{name} is not in this run: {type(error).__name__}, {str(error)[:200]}")
    return results, missing


def litellm(stage: Stage) -> Target:
    program = HOME / "bin" / "litellm"
    if not program.exists():
        installed([sys.executable, "-m", "venv", str(HOME)])
        installed([*PIP, LITELLM])
    key, port, config = f"sk-{secrets.token_hex(32)}", free_port(), stage.folder / "litellm.json"
    where = {"model": f"openai/{MODEL}", "api_base": stage.provider_url, "api_key": "sk-bench"}
    config.write_text(json.dumps({"model_list": [{"model_name": MODEL, "litellm_params": where}]}))
    command = [str(program), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    pid = stage.start(command, port, LITELLM_MASTER_KEY=key, LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOG="ERROR")
    return Target(f"LiteLLM {version()}", pid, asking(port, "/v1/chat/completions", Authorization=f"Bearer {key}"))


def version() -> str:
    told = [str(HOME / "bin" / "python"), "-c", "import importlib.metadata as m; print(m.version('litellm'))"]
    return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()


def portkey(stage: Stage) -> Target:
    if not shutil.which("npm"):
        raise RuntimeError("npm is not installed")
    if not GATEWAY.exists():
        installed(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(HOME), PORTKEY])
    port = free_port()
    pid = stage.start(["node", str(GATEWAY), f"--port={port}", "--headless"], port, TRUSTED_CUSTOM_HOSTS="127.0.0.1")
    where = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": stage.provider_url,
        "Authorization": "Bearer sk-bench",
    }
    return Target("Portkey 1.15.2", pid, asking(port, "/v1/chat/completions", **where))


def tensorzero(stage: Stage) -> Target:
    """Its gateway as its package embeds it, in a process of its own; without its database, so without metering."""
    if not list(HOME.glob("lib/*/site-packages/tensorzero")):
        installed([*PIP, TENSORZERO, "openai"])
    config = stage.folder / "tensorzero.toml"
    config.write_text(CONFIG.format(model=MODEL, address=stage.provider_url))
    child, log = stage.begin([str(HOME / "bin" / "python"), "-c", EMBEDDED, str(config)], "tensorzero.log")
    await_that(lambda: bool(ADDRESS.search(log.read_text())) or child.poll() is not None, 60)
    if (address := ADDRESS.search(log.read_text())) is None:
        raise RuntimeError(log.read_text()[-200:])
    path, model = "/openai/v1/chat/completions", f"tensorzero::model_name::{MODEL}"
    return Target(TENSORZERO.replace("tensorzero==", "TensorZero "), child.pid, asking(int(address[1]), path, model))


def nginx(stage: Stage) -> Target:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RuntimeError("nginx is not installed")
    port, config = free_port(), stage.folder / "nginx.conf"
    config.write_text(NGINX.format(folder=stage.folder, port=port, provider=stage.provider_port))
    return Target("nginx", stage.start([program, "-c", str(config)], port), asking(port, "/v1/chat/completions"))


def installed(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=PATIENCE, cwd=PROJECT)
