"""``runner dashboard``: closed to others by default, and ends in order."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "jobs.example"])
def test_it_is_not_opened_to_others_without_authorize(cli: Any, host: str) -> None:
    """The refusal says what to do, before anything listens."""
    code, _, err = cli("dashboard", "--host", host)
    assert code == 2
    assert f"not opened to {host} without --authorize MODULE:FUNCTION" in err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nothing", "expected MODULE:FUNCTION"),
        ("no_such_module:f", "No module named"),
        ("cli_tasks:nope", "has no attribute"),
        ("cli_tasks:__name__", "it is no function"),
    ],
)
def test_authorize_has_to_be_a_function(cli: Any, name: str, text: str) -> None:
    """A name that leads to nothing does not become an open door."""
    code, _, err = cli("dashboard", "--authorize", name)
    assert (code, text in err) == (2, True), err


def test_it_serves_until_it_is_told_to_end(tmp_path: Path, redis_url: str) -> None:
    """It says where, answers there, asks --authorize, and SIGTERM ends it with 0, whoever looks on."""
    (tmp_path / "door.py").write_text("def who(request):\n    return request.headers.get('x-role')\n")
    environment = os.environ | {"RUNNER_REDIS__URL": redis_url, "RUNNER_TASKS": ""}
    command = [sys.executable, "-m", "runner", "dashboard", "--port", "0", "--authorize", "door:who"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        url = re.findall(r"http://\S+", said)[0]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url)
        request = urllib.request.Request(url, headers={"x-role": "read"})
        assert b"All is well" in urllib.request.urlopen(request).read()
        stream = urllib.request.urlopen(urllib.request.Request(url + "live", headers={"x-role": "read"}))
        assert stream.readline().startswith(b"retry:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert "Traceback" not in process.stderr.read()
