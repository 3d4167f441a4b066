"""The quick start of docs/api.md, run as it is written, against the running app."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.api.event_stream import event
from tests.chat.conftest import Door
from tests.support.environment import process_environment
from tests.support.running_app import RunningApp

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
PROGRAMS = {"sh": ["bash", "-c"], "python": [sys.executable, "-W", "error", "-c"]}


@pytest.mark.parametrize(("language", "shown"), [("sh", "event: done"), ("python", "computed from the receipt")])
def test_the_quick_start_does_what_it_says(
    language: str, shown: str, start_app: Callable[..., RunningApp], door: Callable[..., Door], tmp_path: Path
) -> None:
    key = door("ada", credits=10**9).headers["Authorization"].removeprefix("Bearer ")
    running = start_app("web")
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    done = subprocess.run(
        [*PROGRAMS[language], block],
        env=process_environment({"TOLLGATE_URL": running.url, "TOLLGATE_KEY": key}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert shown in done.stdout


def test_no_text_ends_a_line_of_what_its_program_reads() -> None:
    """`iter_lines` splits at whatever Python takes for the end of a line."""
    text = "".join(map(chr, range(0x3000)))
    _position, _name, data, _end = event("delta", {"text": text}, 0).splitlines()
    assert json.loads(data.removeprefix("data: ")) == {"text": text}
