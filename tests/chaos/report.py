"""What the runs came to, for a terminal and as one HTML page that needs nothing else."""

import datetime as dt
import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version

from runner.testing.server import server_binary

from .figures import EDGES, Counts, bound
from .judge import LOSSES, PROMISES, RESUME_S, STARTS_AGAIN_S, Outcome
from .plots import bars
from .scenario import Scenario, quantile

LABELS = (*(f"≤{edge:g}" for edge in EDGES), "more")
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .7rem; text-align: right }
th { border-bottom: 2px solid #ccc } td:first-child, th:first-child, td.words { text-align: left }
tr:nth-child(even) { background: #f6f6f6 } .bad { color: #c00; font-weight: bold } svg { width: 100% }
details { margin: .4rem 0 } summary { cursor: pointer }
"""


@dataclass(frozen=True)
class Played:
    """A scenario and what it came to; or why it was left out."""

    scenario: Scenario
    outcome: Outcome | None
    left_out: str

    @property
    def is_broken(self) -> bool:
        return self.outcome is not None and bool(self.outcome.broken)


def machine() -> str:
    """Say in general words what this ran on."""
    server = os.popen(f"'{server_binary()}' --version").read().split()
    names = ("arq", "redis", "httpx", "aiohttp")
    found = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores; Python "
        f"{platform.python_version()}; {' '.join(server[:3])}; {found}"
    )


def text(played: Sequence[Played], counts: Counts | None = None, *, seconds: float = 0.0) -> str:
    """Give it for a terminal; with counts also what all runs so far prove."""
    if counts is None:
        return "\n".join(line for each in played for line in _of(each))
    lines = ["", f"{'scenario':20} {'faults':>6} {'acked':>6} {'lost':>5} {'twice':>5} {'again':>6}  verdict"]
    lines += [_row(each) for each in played]
    lines += ["", "over all runs so far:", *_proved(counts)]
    lines += [f"  {'recovery':9} {_spread(counts.bars('recovery'))}"]
    lines += [f"  {'resume':9} {_spread(counts.bars('resume'))}"]
    broken = [each.scenario.name for each in played if each.is_broken]
    left_out = [each.scenario.name for each in played if each.outcome is None]
    verdict = f"BROKEN PROMISES in {', '.join(broken)}" if broken else "every promise held"
    if left_out:
        verdict += f"; NOT RUN: {', '.join(left_out)}"
    return "\n".join([*lines, "", f"{verdict} ({seconds:.0f} s)" if seconds else verdict])


def _of(played: Played) -> list[str]:
    outcome = played.outcome
    if outcome is None:
        return [f"  not run: {played.left_out}"]
    figures = outcome.figures
    shown = [f"{count} {name}" for name, count in sorted(figures.items()) if count and name not in PROMISES]
    zeros = [name for name in PROMISES if not figures[name]]
    lines = ["  " + each for each in _wrapped(shown)]
    lines += ["  0: " + each for each in _wrapped(zeros)]
    for name, samples in outcome.samples.items():
        if samples:
            p50, p99 = quantile(samples, 0.5), quantile(samples, 0.99)
            spread = f"p50 {p50:.2f} s, p99 {p99:.2f} s, most {samples[-1]:.2f} s"
            lines.append(f"  {name}: {len(samples)} samples, {spread}; {_asked(played.scenario, name)}")
    for name in PROMISES:
        if figures[name] and name in played.scenario.unpromised:
            seen = f"{name} {figures[name]} of {figures[PROMISES[name]]}"
            lines.append(f"  counted, no promise: {seen}; {played.scenario.why}")
    if left := figures["payments left to a person"]:
        lines.append(
            f"  {left} left to a person: no promise is broken, what cannot be proved is not charged again"
        )
    lines += [f"  {line}" for line in outcome.told]
    lines += [f"  BROKEN  {line}" for line in outcome.broken]
    return [*lines, f"  {'BROKEN' if outcome.broken else 'held'}, {outcome.seconds:.0f} s"]


def _asked(scenario: Scenario, times: str) -> str:
    """Say what is asked of times in a full run, and what is promised with the real lease."""
    if times == "resume":
        return (
            f"bound {RESUME_S:g} s"
            if scenario.resumes
            else "told, not judged: work stands still for other reasons too"
        )
    bound = f"bound {scenario.lease_s + STARTS_AGAIN_S:g} s with this lease of {scenario.lease_s:g} s (p99)"
    return f"{bound}; promised 20 s with one of 15 s; not judged where the server was away too"


def _wrapped(words: Sequence[str]) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 100:
            lines.append("")
        lines[-1] += f", {word}" if lines[-1] else word
    return [line for line in lines if line]


def _row(played: Played) -> str:
    outcome = played.outcome
    if outcome is None:
        return f"{played.scenario.name:20} not run: {played.left_out}"
    figures = outcome.figures
    acked = sum(figures[name] for name in set(PROMISES.values()) if name.endswith("acknowledged"))
    lost, twice = sum(figures[name] for name in LOSSES), figures["charged twice"]
    recovery = outcome.samples.get("recovery", [])
    again = f"{quantile(recovery, 0.99):.1f} s" if recovery else "-"
    verdict = "BROKEN" if outcome.broken else "held"
    if lost and not outcome.broken:
        verdict += ", no promise of no loss here"
    return (
        f"{played.scenario.name:20} {figures['faults']:6} {acked:6} {lost:5} {twice:5} {again:>6}  {verdict}"
    )


def _proved(counts: Counts) -> list[str]:
    rows = []
    for name, seen, out_of in _sums(counts):
        rows.append(f"  {name:28} {seen:6} of {out_of:8}   {bound(seen, out_of)}")
    return rows


def _sums(counts: Counts) -> list[tuple[str, int, int]]:
    """Give each promise with what was seen against it and out of how many, where it is made."""
    from .catalogue import SCENARIOS

    rows = []
    for name, out_of in PROMISES.items():
        without = tuple(each.name for each in SCENARIOS if name in each.unpromised)
        total = counts.figures(without=without)
        rows.append((name, total[name], total[out_of]))
    return rows


def _spread(heights: Sequence[int]) -> str:
    return "  ".join(f"{label} s: {n}" for label, n in zip(LABELS, heights, strict=True) if n) or "none"


def page(played: Sequence[Played], counts: Counts, run: str, seed: int) -> str:
    """Give it as a page."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    broken = any(each.is_broken for each in played)
    verdict = '<span class="bad">promises were broken</span>' if broken else "every promise held"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Chaos</title>",
        f"<style>{STYLE}</style><h1>Chaos: {verdict}</h1>",
        f"<p>{escape(run)} run, seed {seed}, {now}. {escape(machine())}.</p>",
        "<h2>This run</h2>", _table(played),
        "<h2>All runs so far</h2><p>Where nothing was seen in n tries, its share is below 3/n, at 95 %.</p>",
        _sums_table(counts), _bars(counts),
        "<h2>Scenario by scenario</h2>", *(_details(each, counts) for each in played),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _table(played: Sequence[Played]) -> str:
    heads = ("scenario", "faults", "acknowledged", "lost", "charged twice", "again, p99", "verdict")
    rows = []
    for each in played:
        words = _row(each)
        name, rest = each.scenario.name, words[20:].split(None, 5)
        cells = rest if each.outcome is not None else [words[20:], "", "", "", "", ""]
        if each.outcome is not None and cells[4] != "-":  # "1.2 s  held": the unit is a word of its own
            unit, _, verdict = cells[5].partition("  ")
            cells = [*cells[:4], f"{cells[4]} {unit}", verdict]
        marked = "bad" if each.is_broken else "words"
        rows.append(
            f"<tr><td>{escape(name)}</td>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells[:5])
            + f'<td class="{marked}">{escape(cells[5].strip())}</td></tr>'
        )
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(rows)}</table>"


def _sums_table(counts: Counts) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{seen}</td><td>{of}</td><td>{escape(bound(seen, of))}</td></tr>"
        for name, seen, of in _sums(counts)
    )
    return f"<table><tr><th>must be 0</th><th>seen</th><th>out of</th><th>share</th></tr>{rows}</table>"


def _bars(counts: Counts) -> str:
    again = bars(
        "From SIGKILL of a worker to the next start of its job, in seconds", LABELS, counts.bars("recovery")
    )
    real = bars(
        "The same with the real lease of 15 s; the line is the bound of 20 s",
        LABELS, counts.bars("recovery", "workers-die"), mark=EDGES.index(20),
    )  # fmt: skip
    resume = bars(
        "From the server's return to the next start of any job; the line is the bound of 5 s",
        LABELS, counts.bars("resume"), mark=EDGES.index(5),
    )  # fmt: skip
    return again + real + resume


def _details(played: Played, counts: Counts) -> str:
    held = counts.held.get(played.scenario.name, {"runs": 0, "figures": {}})
    total = Counter(held["figures"])
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{played.outcome.figures[name] if played.outcome else 0}</td>"
        f"<td>{total[name]}</td></tr>"
        for name in sorted(set(total) | set(PROMISES))
    )
    said = played.outcome.told + played.outcome.broken if played.outcome else []
    tells = f"{played.scenario.tells}."
    if played.scenario.why:
        tells += f" No promise of {', '.join(played.scenario.unpromised)}: {played.scenario.why}."
    return (
        f"<details><summary>{escape(played.scenario.name)}</summary><p>{escape(tells)}</p>"
        f"<p>{'<br>'.join(map(escape, said))}</p>"
        f"<table><tr><th>figure</th><th>this run</th><th>{held['runs']} runs</th></tr>{rows}</table>"
        "</details>"
    )
