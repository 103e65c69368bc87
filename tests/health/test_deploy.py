"""What we ship for Prometheus, Grafana and readers names metrics that exist, and all of them."""

import json
import re
from pathlib import Path

from runner.health.table import METRICS, PROCESS_METRICS, QUEUE_METRICS

ROOT = Path(__file__).parents[2]
ALERTS = (ROOT / "deploy/alerts.yml").read_text()
BOARD = json.loads((ROOT / "deploy/grafana.json").read_text())


def named(text: str) -> set[str]:
    """Metrics that a PromQL expression names; a histogram by the series that it must be asked by."""
    found = set(re.findall(r"\brunner_\w+", text))
    for name in found & {name for name, row in METRICS.items() if row.kind == "histogram"}:
        raise AssertionError(f"{name} is a histogram: ask for {name}_bucket, _sum or _count")
    return {re.sub(r"_(bucket|sum|count)$", "", name) if name not in METRICS else name for name in found}


def expressions() -> list[str]:
    return [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]


def test_the_board_shows_every_metric_and_no_other():
    """A metric that is renamed breaks this test, not somebody's night."""
    assert named(" ".join(expressions())) == METRICS.keys()


def test_the_alerts_name_metrics_that_exist():
    """And each rule says what is wrong and what to do."""
    rules = ALERTS.split("- alert: ")[1:]
    assert len(rules) > 5
    for rule in rules:
        expression = re.search(r"expr: (?:>-\n)?(.+?)\n +(?:for|labels):", rule, re.DOTALL)
        assert expression is not None, rule
        assert named(expression[1])
        assert named(expression[1]) <= METRICS.keys()
        assert all(word in rule for word in ("severity: ", "summary: ", "description: ")), rule


def test_labels_are_those_that_the_metrics_have():
    """`by (…)` and `{{…}}` use labels of the table, `le`, or `instance`, which Prometheus adds."""
    labels = {label for row in METRICS.values() for label in row.labels} | {"le", "instance"}
    used = re.findall(r"by \(([^)]*)\)", ALERTS + " ".join(expressions()))
    assert {name.strip() for names in used for name in names.split(",")} <= labels
    legends = " ".join(target["legendFormat"] for panel in BOARD["panels"] for target in panel["targets"])
    assert set(re.findall(r"\{\{(\w+)\}\}", legends)) | set(re.findall(r"\$labels\.(\w+)", ALERTS)) <= labels


def test_queues_are_never_summed_over_processes():
    """Every process tells the same of them: a sum would count each job once per worker."""
    for expression in [*expressions(), *re.findall(r"expr: (.+)", ALERTS)]:
        if named(expression) & QUEUE_METRICS.keys():
            assert "sum" not in expression
            assert re.match(r"(max|min)\b", expression)


def test_the_guide_has_the_table():
    """docs/observability.md lists every metric with its kind, labels and meaning, as the code has them."""
    guide = (ROOT / "docs/observability.md").read_text()
    for rows in (PROCESS_METRICS, QUEUE_METRICS):
        lines = [
            f"| `{name}` | {row.kind} | {', '.join(row.labels)} | {row.help} |" for name, row in rows.items()
        ]
        assert "\n".join(lines) in guide, "\n".join(lines)
