"""The peers, where their packages install: LiteLLM's proxy without a database, and Portkey's gateway."""

import json
import secrets
import shutil
import subprocess
import sys

from bench.environment import PROJECT, Stage, Target, asking
from bench.metrics import MODEL
from devserver.ports import free_port

LITELLM = "litellm[proxy]>=1.105,<1.110"
"""The newest of these whose own requirements can be met."""

PORTKEY = "@portkey-ai/gateway@1.15.2"
HOME = PROJECT / ".venv-bench"
GATEWAY = HOME / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
PATIENCE = 900


def peers(stage: Stage) -> tuple[list[Target], list[str]]:
    """Those that run and answer, and what is to be said of those that do not."""
    results, missing = [], []
    for name, start in (("LiteLLM", litellm), ("Portkey", portkey)):
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
        installed([str(HOME / "bin" / "pip"), "install", "-q", LITELLM])
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


def installed(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=PATIENCE, cwd=PROJECT)
