"""The quick start of docs/api.md, run as it is written, against the running app."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from app.api.event_stream import event
from tests.chat.conftest import Door
from tests.support.environment import process_environment
from tests.support.running_app import RunningApp

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
PROGRAMS = {"sh": ["bash", "-c"], "python": [sys.executable, "-W", "error", "-c"]}


def test_the_quick_start_does_what_it_says(
    start_app: Callable[..., RunningApp], door: Callable[..., Door], tmp_path: Path
) -> None:
    key = door("ada", credits=10**9).headers["Authorization"].removeprefix("Bearer ")
    environment = process_environment({"TOLLGATE_URL": start_app("web").url, "TOLLGATE_KEY": key})
    for language, shown in (("sh", "event: done"), ("python", "computed from the receipt")):
        (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
        program = [*PROGRAMS[language], block]
        done = subprocess.run(
            program, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert shown in done.stdout, language


def test_no_text_ends_a_line_of_what_its_program_reads() -> None:
    """`iter_lines` splits at whatever Python takes for the end of a line."""
    text = "".join(map(chr, range(0x3000)))
    _position, _name, data, _end = event("delta", {"text": text}, 0).splitlines()
    assert json.loads(data.removeprefix("data: ")) == {"text": text}
