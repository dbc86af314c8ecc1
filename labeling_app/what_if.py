"""The what-if panel: another rule, other settings, another alpha, and what they would change. Nothing is written.

The numbers are those a materialization with these settings would report, by the same functions over the same episodes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from episodes.errors import RegraspError
from labeling_app import desk, known
from labeling_app.data import LABELS
from labeling_app.labels import Label
from labeling_app.plain_table import plain_table
from models.agreement import Agreement
from models.calibration import thresholds
from models.conformal import needed
from models.what_if import RULES, WHOLE, Effect, Found, counted, mined

TRAINED = "stagnation"
_WORDS = {
    "stagnation": "stagnation (ours)",
    "three_rules": "decline, plateau, drop (release)",
    "seed_rule": "missing progress (blog)",
    "risk": "risk R above a threshold",
}
Row = tuple[str, str, str]


def panel(task: str, labels: Sequence[Label]) -> dict[str, Found]:
    """Draw the panel; returns what would be labelled, to be drawn beside what is."""
    with st.container(border=True):
        try:
            return _panel(task, labels)
        except RegraspError as error:
            st.info(desk.plain(str(error)), icon=":material/info:")
            return {}


def _panel(task: str, labels: Sequence[Label]) -> dict[str, Found]:
    stamp = known.stamp(desk.library(), task)
    now = _settings_now(task)
    settings_at, table_at = st.columns([9, 11], gap="medium")
    with settings_at:
        rule = st.selectbox("Rule", list(RULES), format_func=lambda each: _WORDS[each], key="what-if-rule")
        settings = _inputs(rule, now if rule == TRAINED else {})
        alphas = _alphas(task)
    found = _mined(_here(), task, stamp, rule, tuple(settings.items()))
    trained = _trained_rule(task)
    old = _mined(_here(), task, stamp, trained, tuple(now.items()) if trained == TRAINED else ())
    episodes = _known(_here(), task, stamp).episodes
    judged = {"audited": _judged(labels), "marked": known.seen(desk.state().progress)}
    before, after = (counted(each, episodes, **judged) for each in (old, found))
    rows = _label_rows(before, after) + _alarm_rows(task, stamp, alphas)
    with table_at:
        told = [(name, now, f"*{then}" if then != now else then) for name, now, then in rows]
        plain_table(told, ("", "as mined now", "what if"))
        usual = {
            each.name: now.get(each.name, each.default) if rule == TRAINED else each.default for each in RULES[rule]
        }
        changed = {name: value for name, value in settings.items() if value != usual[name]}
        _remedy(task, rule, changed, alphas)
    return found


def _inputs(rule: str, now: Mapping[str, float]) -> dict[str, float]:
    """A box for each number of the rule, three in a row."""
    out = {}
    columns = st.columns(3, gap="xsmall") * 2
    for column, setting in zip(columns, RULES[rule], strict=False):
        default = float(now.get(setting.name, setting.default))
        whole = setting.name in WHOLE and rule != TRAINED
        step = 1.0 if whole else _step(default or setting.default)
        name = setting.name.replace("_", " ")
        out[setting.name] = column.number_input(
            f"{setting.symbol} {name}".strip(),
            value=default,
            step=step,
            format="%.0f" if whole else "%.4g",
            help=setting.about,
            key=f"what-if-{rule}-{setting.name}",
        )
    return out


def _step(value: float) -> float:
    """By how much one click moves a number: half of its first digit."""
    return 10.0 ** math.floor(math.log10(abs(value or 1.0))) / 2


def _alphas(task: str) -> dict[str, float]:
    """The shares of successes that may see a false alarm."""
    try:
        alarms = _alarms(_here(), task, known.stamp(desk.library(), task))
    except RegraspError as error:
        st.caption(desk.plain(str(error)))
        return {}
    first, second = st.columns(2, gap="xsmall")
    options: dict[str, Any] = {"min_value": 0.01, "max_value": 0.9, "step": 0.01, "format": "%.2f"}
    told = "share of the policy's own successes that may see a false {} (conformal)"
    return {
        "alpha": first.number_input("α alarm", value=alarms.alpha, help=told.format("alarm"), **options),
        "early_alpha": second.number_input(
            "α early alarm", value=alarms.early_alpha, help=told.format("early alarm"), **options
        ),
    }


def _label_rows(before: Effect, after: Effect) -> list[Row]:
    def row(name: str, told: Any) -> Row:
        return name, told(before), told(after)

    rules = ", ".join(f"{rule.replace('_', ' ')} {count}" for rule, count in after.by_rule.items())
    return [
        row("labels", lambda e: str(e.intervals)),
        ("by rule", ", ".join(f"{rule} {count}" for rule, count in before.by_rule.items()), rules),
        row("steps labelled", lambda e: f"{e.steps:,}".replace(",", " ")),
        row("share of unaided successes' steps", lambda e: f"{e.success_rate:.1%}"),
        row("takeovers announced", lambda e: f"{e.announced} of {e.takeovers}"),
        row("before the person decides, median", lambda e: f"{e.lead_s:.1f} s" if math.isfinite(e.lead_s) else "–"),
        *_agreement_rows("accepted labels found", "rejected ones still there", before.audited, after.audited),
        *_agreement_rows("seen stuck, found", "seen progress, labelled", before.marked, after.marked),
    ]


def _agreement_rows(found: str, false: str, before: Agreement, after: Agreement) -> list[Row]:
    stuck = [(found, f"{before.found} of {before.stuck}", f"{after.found} of {after.stuck}")]
    free = [(false, f"{before.false} of {before.free}", f"{after.false} of {after.free}")]
    return stuck * bool(after.stuck) + free * bool(after.free)


def _alarm_rows(task: str, stamp: tuple[int, ...], alphas: Mapping[str, float]) -> list[Row]:
    if not alphas:
        return []
    alarms = _alarms(_here(), task, stamp)
    outcome = {e.episode_id: e.success for e in _known(_here(), task, stamp).episodes}
    told: list[list[str]] = []
    for pair in ({"alpha": alarms.alpha, "early_alpha": alarms.early_alpha}, alphas):
        found = thresholds(alarms.calibration, **pair)
        fired = alarms.fired(found)
        ended = {
            kind: [fired[n] for n, success in outcome.items() if success is kind and n in fired]
            for kind in (True, False)
        }
        shares = [f"{sum(ended[kind])} of {len(ended[kind])}" for kind in (False, True)]
        told.append([_threshold(found.alarm, pair["alpha"]), _threshold(found.early, pair["early_alpha"]), *shares])
    names = ("alarm above a score of", "early alarm above", "failures alarmed early", "successes alarmed early")
    return [(name, now, then) for name, now, then in zip(names, *told, strict=True)]


def _threshold(value: float, alpha: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else f"never: needs {needed(alpha)} successes"


def _remedy(task: str, rule: str, changed: Mapping[str, float], alphas: Mapping[str, float]) -> None:
    """What makes it so: the settings to write, where anything that is trained on would change."""
    settings: dict[str, dict[str, Any]] = {}
    if rule != _trained_rule(task) and rule != "risk":
        settings["labels"] = {"rule": rule}
    if rule == TRAINED and changed:
        settings["stagnation"] = dict(changed)
    if alphas:
        alarms = _alarms(_here(), task, known.stamp(desk.library(), task))
        moved = {name: value for name, value in alphas.items() if value != getattr(alarms, name)}
        settings |= {"trigger": moved} if moved else {}
    if rule == "risk" or (rule != TRAINED and changed):
        st.caption("To look at only: a published rule is trained on with its published numbers, the risk not at all.")
    elif settings:
        st.caption("Nothing is written. To make it so, put this into settings.json and run `regrasp materialize`:")
        st.code(json.dumps(settings, ensure_ascii=False), language="json")
    else:
        st.caption("These are the settings the labels were mined with. Move one: nothing is written.")


def _trained_rule(task: str) -> str:
    """The rule whose intervals are the labels."""
    told = desk.library().manifest(LABELS, task).get("metadata", {})
    return str(told.get("labels of", TRAINED))


def _settings_now(task: str) -> dict[str, float]:
    """What the labels were mined with."""
    names = {setting.name for setting in RULES[TRAINED]}
    return {name: float(value) for name, value in desk.library().miner(task).items() if name in names}


def _judged(labels: Sequence[Label]) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    """Intervals people accepted, and rejected."""
    stuck, free = (
        [(each.episode_id, each.start, each.stop) for each in labels if each.verdict == verdict]
        for verdict in ("accept", "reject")
    )
    return stuck, free


def _here() -> str:
    return str(desk.root().absolute())


@st.cache_resource(show_spinner="Reading the episodes", max_entries=2)
def _known(path: str, task: str, stamp: tuple[int, ...]) -> known.Known:
    return known.read(desk.library(), task)


@st.cache_resource(show_spinner=False, max_entries=2)
def _alarms(path: str, task: str, stamp: tuple[int, ...]) -> known.Alarms:
    return known.alarms(desk.library(), task, _known(path, task, stamp))


@st.cache_resource(show_spinner="Labelling every episode", max_entries=64)
def _mined(
    path: str, task: str, stamp: tuple[int, ...], rule: str, settings: tuple[tuple[str, float], ...]
) -> dict[str, Found]:
    found = _known(path, task, stamp)
    return mined(rule, dict(settings), found.episodes, found.values)
