"""The tables of a report."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill

from rich import box
from rich.console import RenderableType
from rich.table import Table

from spikec.planning.cost import HOST_CALL
from spikec.views.report_parts import Contents, PartitionReport, short

WIDTH = 100
# Longer lists are cut, with the number of what is left out.
MOST_ROWS = 16
KINDS_SHOWN = 12
# Times are worth a word about what else ran from this part of them on.
NOTABLE = 0.1


def blocks(report: Contents) -> Iterator[RenderableType]:
    """Everything that is shown, one table or line after another."""
    yield _head(report)
    measured = any(p.measured for p in report.partitions)
    yield "Partitions (us per step)" + ("; measured without waiting" if measured else "")
    yield _partitions(report, measured)
    if report.hosts:
        yield "Hosts"
        yield _hosts(report)
    yield "Predicted us per step by kind (and number of operators)"
    yield _operators(report)
    for called in report.python:
        yield (
            f"Partition {called.partition} calls Python of the model in every step; "
            f"predictions take {HOST_CALL / 1e3:g} us for each:"
        )
        yield "\n".join(_item(what) for call in called.calls for what in call) + "\n"
    if report.wires:
        yield "Wires"
        yield _wires(report)
    yield _numbers(report)
    yield "Other numbers of partitions"
    yield _speedup(report)
    yield f"Partition {report.slowest} is the slowest:"
    for reason in report.reasons:
        yield _item(reason)
    if report.advice:
        yield f"Advice: {report.advice}"


def _item(text: str) -> str:
    """An item of a list, over several lines where it is long."""
    return fill(f"- {text}", WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def _head(report: Contents) -> str:
    n = len(report.partitions)
    given = ", ".join(f"{name}={value}" for name, value in report.parameters.items())
    return (
        f"{report.model}: {report.neurons:,} neurons in {n} partition{'s' * (n != 1)}, {report.precision}, "
        f"step {report.dt * 1e3:g} ms\n" + (f"with {given}\n" if given else "")
    )


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for k, column in enumerate(columns):
        table.add_column(column, justify="left" if k < left else "right", overflow="fold")
    return table


def _us(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def _partitions(report: Contents, measured: bool) -> Table:
    taken = ("measured", "compute", "exchange", "waiting", "recording") if measured else ()
    table = _table("partition", "neurons", "atoms", "predicted", *taken)
    for p in report.partitions[:MOST_ROWS]:
        cells = [f"{p.index} {p.host}", f"{p.neurons:,}", f"{p.atoms:,}", _us(p.predicted_total)]
        if p.measured:
            cells += [_us(p.measured_work), *(_us(p.measured.get(k)) for k in taken[1:])]
        table.add_row(*cells)
    return _rest(table, len(report.partitions))


def _hosts(report: Contents) -> Table:
    table = _table(
        "host", "cores", "partitions", "neurons", "predicted", "bytes to others", "wires", "profile"
    )
    for h in report.hosts[:MOST_ROWS]:
        first, last = h.partitions[0], h.partitions[-1]
        numbers = str(first) if first == last else f"{first} to {last}"
        bytes_, wires = f"{h.bytes:,}", str(h.wires)
        cells = (str(h.cores), numbers, f"{h.neurons:,}", _us(h.predicted), bytes_, wires, h.profile)
        table.add_row(h.name, *cells)
    return _rest(table, len(report.hosts))


def _operators(report: Contents) -> Table:
    """Predicted time and number of operators by kind, over the first partitions."""
    shown = report.partitions[:4]
    table = _table("kind", *(f"partition {p.index}" for p in shown))
    spent: dict[str, float] = {}
    for p in report.partitions:
        for kind, us in p.predicted.items():
            spent[kind] = spent.get(kind, 0.0) + us
    kinds = sorted(spent, key=lambda k: (-spent[k], k))
    for kind in kinds[:KINDS_SHOWN]:
        table.add_row(kind, *(_cell(p, kind) for p in shown))
    return _rest(table, len(kinds), KINDS_SHOWN)


def _cell(p: PartitionReport, kind: str) -> str:
    count = f" ({p.operators[kind]:,})" if kind in p.operators else ""
    return f"{_us(p.predicted.get(kind, 0.0))}{count}"


def _wires(report: Contents) -> Table:
    table = _table("from", "to", "bytes per step", "signals (numbers)", left=2)
    table.columns[3].justify = "left"
    for wire in report.wires[:MOST_ROWS]:
        listed = ", ".join(f"{short(name, 20)} ({words})" for name, words in wire.signals[:2])
        more = len(wire.signals) - 2
        table.add_row(
            str(wire.source),
            str(wire.target),
            f"{wire.bytes:,}",
            listed + (f", {more} more" if more > 0 else ""),
        )
    return _rest(table, len(report.wires))


def _rest(table: Table, count: int, most: int = MOST_ROWS) -> Table:
    if count > most:
        table.add_row(f"... {count - most} more")
    return table


def _numbers(report: Contents) -> str:
    predicted = f"predicted {_us(report.step_predicted)} us"
    if report.step_measured:
        error = report.step_predicted / report.step_measured - 1
        predicted += f" ({error:+.0%}), measured {_us(report.step_measured)} us"
    wires = f"{len(report.wires)} wire{'s' * (len(report.wires) != 1)}"
    if report.window > 1:
        wires += f", exchanged every {report.window} steps"
    if report.hosts:
        wires += f", {sum(h.bytes for h in report.hosts):,} of them between hosts"
    recording = f"Recording: predicted {_us(report.recording_predicted)} us per step beside the partitions"
    if report.recording_measured is not None:
        recording += f", measured {_us(report.recording_measured)} us"
    return (
        f"Step: {predicted}.  "
        f"Balance: the slowest takes {report.balance:.2f} times the mean.\n{recording}.\n"
        f"Cut: {report.cut_bytes:,} bytes per step on {wires}.  "
        f"Host profile: {report.profile}\n{_other_transport(report)}{_measured(report)}"
    )


def _measured(report: Contents) -> str:
    """What those who read the times of a run must know."""
    if report.steps is None or not (report.python or report.wrong):
        return ""
    said = (
        f"Measured times are means of all {report.steps:,} steps; "
        "the first take longer, and weigh in short runs"
    )
    if not report.wrong:
        return f"{said}.\n"
    if report.displaced >= NOTABLE:
        said += f"; something else had the cores for {report.displaced:.0%} of the time: run again without it"
    return (
        f"A step took {report.ratio:.3g} times as long as predicted, so what is predicted for other "
        f"numbers of partitions may be as wrong, and there is no advice.  {said}.\n"
    )


def _other_transport(report: Contents) -> str:
    """A warning that the run is not what was predicted."""
    if report.run_transport in (None, report.transport):
        return ""
    return (
        f"Note: predicted for transport {report.transport}, run over {report.run_transport}; "
        f"compile with --transport {report.run_transport} to compare.\n"
    )


def _speedup(report: Contents) -> Table:
    table = _table("partitions", "us per step", "speed-up", "", left=0)
    table.columns[3].justify = "left"
    one = next((p["us"] for p in report.predictions if p["partitions"] == 1), None)
    planned = len(report.partitions), max(1, len(report.hosts))
    for p in report.predictions:
        hosts = p.get("hosts", 1)
        notes = [f"on {hosts} hosts"] * (hosts > 1) + ["this plan"] * ((p["partitions"], hosts) == planned)
        notes += ["estimated"] * (not p["exact"])
        if "us_on_cores" in p:
            notes.append(f"{_us(p['us_on_cores'])} us on {p['partitions']} cores")
        speed = f"{one / p['us']:.2f}x" if one and p["us"] else ""
        table.add_row(str(p["partitions"]), _us(p["us"]), speed, ", ".join(notes))
    return table
