"""The files of deploy/ start our workers with options, settings and ports that there are."""

import configparser
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml
from pages import ROOT, prose_of
from shell import fault, unknown_variables

from runner import Settings
from runner.middleware.timeout import STUCK_AFTER_S
from runner.settings import load_settings

DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.suffix != ".json")
PORT = 9464
UNIT = (DEPLOY / "runner.service").read_text()


def manifests() -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def container() -> Any:
    [found] = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return found


def services() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def settings(variables: dict[str, str]) -> Settings:
    return load_settings(environ={"RUNNER_REDIS__URL": "redis://valkey", **variables})


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_variables_are_settings(file):
    """`RUNNER_…` in any of the files is a setting, by that name."""
    assert unknown_variables(file.read_text()) == []


def test_variables_have_values_that_are_taken(tmp_path, monkeypatch):
    """A worker would start with them, and answer where probes, Prometheus and the image's check ask."""
    monkeypatch.chdir(tmp_path)
    config = settings(manifests()["ConfigMap"]["data"])
    assert (config.health.port, config.health.host) == (PORT, "0.0.0.0")
    assert container()["ports"] == [{"name": "health", "containerPort": PORT}]
    assert manifests()["Service"]["spec"]["ports"][0]["port"] == PORT
    settings(services()["worker"]["environment"])
    image = (DEPLOY / "Dockerfile").read_text()
    [line] = [line for line in image.splitlines() if line.startswith("ENV RUNNER_")]
    assert settings(dict(each.split("=") for each in line.split()[1:])).health.port == PORT
    assert f"EXPOSE {PORT}" in image
    assert f"127.0.0.1:{PORT}/healthz" in image


def test_commands_are_taken():
    """By the command line of this version."""
    image = (DEPLOY / "Dockerfile").read_text()
    [last] = [line for line in image.splitlines() if line.startswith("CMD ")]
    unit = configparser.RawConfigParser(strict=False)
    unit.read_string(UNIT)
    for words in (
        yaml.safe_load(last.removeprefix("CMD ")),
        container()["command"],
        ["runner", *shlex.split(unit["Service"]["ExecStart"])[1:]],
    ):
        assert words[0] == "runner"
        assert fault(words) == ""


def test_nobody_kills_a_worker_within_its_grace(tmp_path, monkeypatch):
    """Whoever stops one waits for the grace, for tasks that do not stop, and a moment."""
    monkeypatch.chdir(tmp_path)
    grace = settings(manifests()["ConfigMap"]["data"]).worker.grace + STUCK_AFTER_S
    assert manifests()["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > grace + 5
    compose = services()["worker"]
    grace = settings(compose["environment"]).worker.grace + STUCK_AFTER_S
    assert int(compose["stop_grace_period"].rstrip("s")) > grace + 5
    assert "TimeoutStopSec=60\n" in UNIT
    assert Settings().worker.grace + STUCK_AFTER_S + 5 < 60


def test_probes_ask_what_there_is():
    """Liveness never depends on the server: a worker that is restarted because it is away helps nobody."""
    probes = {name: container()[f"{name}Probe"]["httpGet"] for name in ("liveness", "readiness")}
    assert probes == {
        "liveness": {"path": "/healthz", "port": "health"},
        "readiness": {"path": "/readyz", "port": "health"},
    }


def test_the_server_keeps_jobs():
    """Compose's Valkey writes to disk and evicts nothing."""
    command = services()["valkey"]["command"]
    assert {"--appendonly yes", "--maxmemory-policy noeviction"} <= set(command)
    assert "valkey:/data" in services()["valkey"]["volumes"]


def test_systemd_takes_the_unit(tmp_path):
    """Where there is a systemd to ask; its paths are replaced by ones that are here."""
    unit = tmp_path / "runner.service"
    unit.write_text(UNIT.replace("/srv/shop/.venv/bin/runner", sys.executable).replace("User=shop\n", ""))
    if shutil.which("systemd-analyze") is None:
        return
    asked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert "runner.service" not in asked.stderr, asked.stderr


def test_the_guide_names_each_file():
    """And none that is not there."""
    guide = prose_of(ROOT / "docs/deployment.md")
    assert [file.name for file in DEPLOY.iterdir() if f"(../deploy/{file.name})" not in guide] == []
