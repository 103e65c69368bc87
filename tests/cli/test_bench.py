"""The benches, tiny: what they report and that nothing got lost, never how fast it was."""

import json
import os
import sys
from types import SimpleNamespace

import pytest

from runner.bench import effects, latency, payments, process, webhooks
from runner.bench.drain import crew
from runner.bench.peers import NOOP, PEERS, Ours
from runner.bench.process import python
from runner.bench.report import Kind, Report, figures_of, percentile
from runner.bench.run import BENCHES
from runner.bench.stage import stage
from runner.cli import main
from runner.errors import RunnerError

STOCK = {
    name for bench in BENCHES.values() for name in bench.figures if "arq" in name and "by an arq" not in name
}


@pytest.fixture
def forked(monkeypatch, forks):
    """Let the bench's workers be forked from one that has all imported; not those heard by a pipe."""

    class Forked:
        stdout = None

        def __init__(self, words, *, cwd, env, stdout, **_):
            child = forks.start(*words[2:], log=stdout.name, folder=cwd, environment=env)
            self.pid, self.wait = child.pid, child.join
            self.terminate, self.kill = child.terminate, child.kill
            self._child = child

        def send_signal(self, number):
            os.kill(self.pid, number)

        def poll(self):
            return self._child.exitcode

        returncode = property(poll)

    def start(words, **options):
        return (real.Popen if options["stdout"] is real.PIPE else Forked)(words, **options)

    real = process.subprocess
    monkeypatch.setattr(process, "subprocess", SimpleNamespace(**{**vars(real), "Popen": start}))


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys, forked):
    """Call ``runner bench … --json`` in an empty folder; give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RUNNER_")]:
        monkeypatch.delenv(name)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["runner", "bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def figures(out: str) -> dict[str, float]:
    """Check the shape that every report has; give the medians."""
    report = json.loads(out)
    assert set(report) == {"bench", "options", "machine", "figures"}
    assert report["machine"]["cores"] == os.cpu_count()
    for figure in report["figures"].values():
        assert set(figure) == {"unit", "median", "min", "max", "samples", "reach"}
        assert len(figure["samples"]) == report["options"]["repeat"]
        assert figure["min"] <= figure["median"] <= figure["max"]
    return {name: figure["median"] for name, figure in report["figures"].items()}


# CPU of so few jobs is less than what the kernel counts in.
SHORTER_THAN_A_TICK = {f"{shards} worker CPU" for shards in ("one shard", "16 shards")}


@pytest.mark.parametrize(
    ("name", "jobs", "concurrency"),
    [
        ("noop", 200, 10),
        ("sleep", 20, 10),
        ("enqueue", 300, 8),
        ("limits", 60, 10),
        ("shards", 60, 10),
        ("isolation", 20, 1),
        ("latency", 6, 1),
        ("backlog", 1000, 10),
    ],
)
def test_a_bench_measures_each_of_its_figures(bench, monkeypatch, name, jobs, concurrency):
    """A report holds every figure of the bench's table that is about us, each above zero."""
    monkeypatch.setattr(latency, "WARM", 2)
    code, out, _ = bench(
        name, "--jobs", str(jobs), "--concurrency", str(concurrency), "--repeat", "1", "--json"
    )
    found = figures(out)
    assert (code, set(found)) == (0, set(BENCHES[name].figures) - STOCK)
    may_be_none = {"idle worker, commands", "thread - loop", "process - loop", *SHORTER_THAN_A_TICK}
    assert {what for what, value in found.items() if value <= 0} <= may_be_none
    assert found.get("runner jobs", jobs) == jobs
    assert found.get("most in flight", jobs * 2) == jobs * 2


def test_effects_are_measured_beside_the_same_jobs_without(bench, monkeypatch):
    """Four kinds in turns, their ratios, and payments compared with the gateway's ledger."""
    monkeypatch.setattr(effects, "SLICES", 1)
    monkeypatch.setattr(payments, "GATEWAY_S", 0.05)
    code, out, _ = bench("effects", "--jobs", "40", "--concurrency", "10", "--repeat", "1", "--json")
    found = figures(out)
    assert (code, found["jobs"], found["payments"]) == (0, 40, 40)
    ratios = {name for name in effects.FIGURES if name.endswith((", worker", ", both CPUs"))}
    assert set(effects.FIGURES) - set(found) <= ratios  # so short that the worker's clock may not have moved


def test_webhooks_arrive_signed_at_a_receiver_of_its_own(bench, monkeypatch):
    """Each delivery arrives once and signed (the bench counts at the receiver), beside bare loops."""
    monkeypatch.setattr(webhooks, "SLOW_S", 0.05)
    code, out, _ = bench("webhooks", "--jobs", "40", "--concurrency", "4", "--repeat", "1", "--json")
    found = figures(out)
    assert (code, set(found)) == (0, set(BENCHES["webhooks"].figures) - STOCK - set(webhooks.SEVERAL))
    assert found["runner jobs"] == 40
    assert found["runner / bare post"] == pytest.approx(found["runner rate"] / found["bare post rate"])


def test_whom_versus_names_is_measured_in_turns_with_us(bench):
    """A ratio is made pair by pair, one a repetition, over the same number of processes."""
    options = ("--jobs", "30", "--repeat", "2", "--processes", "2", "--versus", "arq", "--json")
    code, out, err = bench("noop", *options)
    assert (code, set(figures(out))) == (0, set(BENCHES["noop"].figures))
    samples = {name: figure["samples"] for name, figure in json.loads(out)["figures"].items()}
    pairs = zip(samples["runner rate"], samples["arq rate"], strict=True)
    assert samples["runner / arq"] == pytest.approx([ours / theirs for ours, theirs in pairs])
    assert err.splitlines() == ["noop: 1 of 2 done", "noop: 2 of 2 done"]


def test_people_get_a_table(bench):
    """Without --json: the options, and a line a figure with median, least, most, unit and what to reach."""
    code, out, _ = bench("enqueue", "--jobs", "40", "--repeat", "1")
    first, head, *rows = out.splitlines()
    assert code == 0
    assert first.startswith("enqueue: jobs 40, concurrency 32,")
    assert head.split() == ["median", "least", "most", "reach"]
    assert len(rows) == len(set(BENCHES["enqueue"].figures) - STOCK)


@pytest.mark.parametrize(
    "arguments", [("nop",), ("noop", "--versus", "celery"), ("noop", "--fsync", "never")]
)
def test_a_wrong_word_is_told_what_there_is(bench, arguments):
    """A name that is not there is a usage error that lists those that are."""
    code, out, err = bench(*arguments)
    assert (code, out) == (2, "")
    assert f"{arguments[-1]!r} is none of" in " ".join(err.split())


def test_no_speed_is_told_of_lost_work():
    """A result that is missing after a drain is an error, and so is a job that never got onto the server."""
    with stage() as where, crew(where, Ours(), max_jobs=10) as workers:
        workers.enqueue(NOOP, (), 5)
        with pytest.raises(RunnerError, match="enqueued 3 jobs, and 8 wait"):
            workers.enqueue(NOOP, (), 3)
        assert workers.drain(count=8).jobs == 8
        workers.check_results(8)
        where.redis.delete(next(where.redis.scan_iter("arq:result:*")))
        with pytest.raises(RunnerError, match="8 jobs were run, and 7 results are kept"):
            workers.check_results(8)


def test_a_worker_that_dies_ends_the_bench_with_its_last_words(monkeypatch):
    """Whoever broke the worker reads why, instead of waiting for it."""
    monkeypatch.setattr(Ours, "command", lambda _: ["runner.bench.no_such_module"])
    with stage() as where, pytest.raises(RunnerError, match=r"No module named runner\.bench\.no_such_module"):
        crew(where, Ours(), max_jobs=1).__enter__()


def test_a_child_is_gone_when_its_block_ends(tmp_path):
    """Held or not, a process does not outlive the bench."""
    with python(["http.server", "0"], folder=tmp_path, name="child", environment={}) as started:
        started.hold()
    assert started.child.poll() is not None


def test_a_figure_that_nobody_measured_is_left_out():
    """Figures keep the order of their table; a median is taken over what was measured."""
    kinds = {"b": Kind("ms", "<= 2"), "a": Kind("x"), "c": Kind("x")}
    found = figures_of(kinds, [{"a": 3.0, "b": 1.0}, {"a": 1.0}, {"a": 2.0}])
    assert [(figure.name, figure.median) for figure in found] == [("b", 1.0), ("a", 2.0)]
    assert [line.split() for line in Report("x", {"jobs": 1}, found).lines()[2:]] == [
        ["b", "1", "1", "1", "ms", "<=", "2"],
        ["a", "2", "1", "3", "x"],
    ]
    assert [percentile([3, 1, 2], share) for share in (0.0, 0.5, 0.99)] == [1, 2, 3]


def test_every_peer_is_a_name_of_its_own():
    """``--versus`` finds a library by the name it is measured under."""
    assert {name: peer.name for name, peer in PEERS.items()} == {name: name for name in PEERS}


def test_payments_are_compared_with_the_gateways_ledger(bench, monkeypatch):
    """No speed is told of payments that were not charged exactly once."""
    monkeypatch.setattr(payments, "GATEWAY_S", 0.05)
    code, out, _ = bench("payments", "--jobs", "20", "--repeat", "1", "--json")
    found = figures(out)
    assert (code, set(found)) == (0, set(BENCHES["payments"].figures))
