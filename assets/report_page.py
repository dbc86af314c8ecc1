"""The offline report as one HTML page that needs nothing else: tables, the published rows beside ours, pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.report_rows import Row

STYLE = """
body{font:14px/1.45 system-ui,sans-serif;max-width:90rem;margin:2rem auto;padding:0 1rem;color:#1c2733}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th{text-align:left;color:#5f6b7a;font-weight:600}
td,th{padding:.25rem .6rem .25rem 0;vertical-align:top;border-bottom:1px solid #e3e7ec}
td:first-child{min-width:24rem}td:last-child{font-size:12px}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.quiet:nth-child(2){white-space:nowrap}.quiet{color:#5f6b7a}
.no{color:#b3261e;font-weight:600}img{max-width:30rem;margin-right:1rem}
@media(max-width:60rem){td:first-child{min-width:12rem}th:nth-child(n+6),td:nth-child(n+6){display:none}}
"""
LEAD = (
    "Each figure with its 95 % interval and n. Curves come from nets that did not train on the episode: "
    "<i>out of fold</i> for what the models learned from, <i>held out</i> for what they never saw. A published figure "
    "stands beside ours with words on what the two have in common."
)


def page(
    task: str,
    told: Sequence[str],
    gate: Sequence[Mapping[str, Any]],
    rows: Sequence[Row],
    pictures: Mapping[str, bytes],
) -> str:
    """The whole page; `told` are sentences about the models, `gate` the lines of the value gate as in gate.json."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Offline report: {escape(task)}</title><style>{STYLE}</style><h1>Offline report: {escape(task)}</h1>",
        f"<p>{LEAD}</p><p>{' '.join(escape(sentence) for sentence in told)}</p>",
        *(_picture(name, png) for name, png in pictures.items()),
        "<h2>Value gate</h2>" + _table(("line", "figure", "95 %", "n", "asked", ""), [_gate_cells(e) for e in gate]),
    ]
    for section, of_section in groupby(rows, key=lambda row: row.section):
        cells = [_cells(row) for row in of_section]
        heads = ("metric", "of", "figure", "95 %", "n", "published", "what is comparable")
        parts.append(f"<h2>{escape(section)}</h2>" + _table(heads, cells))
    return "\n".join([*parts, "</html>\n"])


def _cells(row: Row) -> list[str]:
    figure = row.json()
    unit = f" {row.unit}" if row.unit else ""
    return [
        f"<td>{escape(row.name)}",
        f"<td class=quiet>{escape(row.of)}",
        f"<td class=n>{_number(figure['value'])}{escape(unit) if figure['value'] is not None else ''}",
        f"<td class='n quiet'>{_interval(figure)}",
        f"<td class='n quiet'>{figure['n']}",
        f"<td>{escape(row.paper)}",
        f"<td class=quiet>{escape(row.comparable)}",
    ]


def _gate_cells(line: Mapping[str, Any]) -> list[str]:
    verdict = "" if not line["asked"] else "holds" if line["holds"] else "<span class=no>does not hold</span>"
    return [
        f"<td>{escape(line['name'])}",
        f"<td class=n>{_number(line['value'])}",
        f"<td class='n quiet'>{_interval(line)}",
        f"<td class='n quiet'>{line['n']}",
        f"<td>{escape(line['asked'])}",
        f"<td>{verdict if line['value'] is not None else 'not judged'}",
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _interval(figure: Mapping[str, Any]) -> str:
    return "" if figure["lo"] is None else f"{_number(figure['lo'])} to {_number(figure['hi'])}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}" for name in heads)
    body = "\n".join("<tr>" + "".join(cells) for cells in rows)
    return f"<table><tr>{head}\n{body}</table>"


def _picture(name: str, png: bytes) -> str:
    return f"<img alt='{escape(name)}' src='data:image/png;base64,{b64encode(png).decode()}'>"
