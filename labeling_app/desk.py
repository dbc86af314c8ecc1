"""What one browser tab holds: who is deciding, which task, episode and step they look at, and how they decide.

The selection stands in the address (`?task=&episode=&t=`), so that a link leads back to exactly what was seen. A
decision is written with what was on the screen and refused if somebody else decided about the item in the meantime.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec
from urllib.parse import quote, unquote

import streamlit as st

from audits.events import Event
from audits.log import AuditLog, undone
from audits.state import AuditState, fold
from episodes.errors import RegraspError
from labeling_app.data import Library

P = ParamSpec("P")
_COOKIE = "regrasp_by"
_NAME_CHARACTERS = 60


def root() -> Path:
    """The workspace: `--root` after `--`, else REGRASP_ROOT, else ./workspace."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--root", default=os.environ.get("REGRASP_ROOT", "workspace"))
    return Path(parser.parse_known_args(sys.argv[1:])[0].root)


def library() -> Library:
    """The workspace's data; opened again if it moved."""
    return _library(str(root().absolute()))


def log() -> AuditLog:
    """The workspace's audit log."""
    return _log(str(root().absolute()))


def events() -> list[Event]:
    """Every decision so far; read again only when there is a new one."""
    return _history(str(root().absolute()), log().head()[1])[0]


def state() -> AuditState:
    """What is decided now."""
    return _history(str(root().absolute()), log().head()[1])[1]


@st.cache_resource(show_spinner=False, max_entries=4)
def _library(path: str) -> Library:
    return Library(Path(path))


@st.cache_resource(show_spinner=False, max_entries=4)
def _log(path: str) -> AuditLog:
    return _library(path).log()


@st.cache_resource(show_spinner=False, max_entries=4)
def _history(path: str, head: str) -> tuple[list[Event], AuditState]:
    found = _library(path).log().events()
    return found, fold(found)


def explained(body: Callable[P, None]) -> Callable[P, None]:
    """Show any failure Regrasp explains as its one sentence, where the page would have been."""

    @wraps(body)
    def shown(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            body(*args, **kwargs)
        except RegraspError as error:
            st.error(plain(str(error)), icon=":material/error:")

    return shown


def fragment(body: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that reruns alone, its failures explained."""
    rerun: Callable[P, None] = st.fragment(explained(body))
    return rerun


def plain(text: str) -> str:
    """Text as text in a Markdown place: every character that could mean markup is escaped."""
    return "".join("\\" + character if character in r"\`*_{}[]()#+-.!|<>~$:&" else character for character in text)


def adopt_link() -> None:
    """Take task, episode and step from the address when a tab opens, and the name from the browser."""
    if "linked" not in st.session_state:
        given = st.query_params
        step = given.get("t", "0")
        st.session_state.setdefault("name", unquote(st.context.cookies.get(_COOKIE, ""))[:_NAME_CHARACTERS])
        st.session_state.update(
            linked=True,
            task=given.get("task", ""),
            episode=given.get("episode", ""),
            t=int(step) if step.isdecimal() else 0,
        )


def publish_link() -> None:
    """Put what is looked at into the address."""
    link = {"task": st.session_state.task, "episode": st.session_state.episode, "t": str(st.session_state.t)}
    if st.query_params.to_dict() != link:
        st.query_params.from_dict(link)


def sidebar() -> None:
    """Who decides, and which task."""
    with st.sidebar:
        _login()
        tasks = library().tasks()
        if tasks:
            wanted = st.session_state.task
            chosen = wanted if wanted in tasks else tasks[0]
            if wanted and wanted != chosen:
                st.session_state.lost = f"There is no task {wanted} in this workspace; this is {chosen}."
            st.session_state.task = st.selectbox("Task", tasks, index=tasks.index(chosen))
        if "lost" in st.session_state:
            st.warning(plain(st.session_state.lost))
        st.caption(f":material/folder_open: {plain(str(root()))}")


def _login() -> None:
    """The box goes once it has a name, so that the next key is a shortcut and no letter in it."""
    # The browser keeps it until it is closed, for a reload and for links: the address, which is passed on, does not.
    cookie = f"{_COOKIE}={quote(who(), safe='')}; path=/; SameSite=Strict"
    st.html(f"<script>document.cookie = '{cookie}'</script>", unsafe_allow_javascript=True)
    if not who():
        limit = _NAME_CHARACTERS
        st.text_input("Your name", key="name-box", placeholder="on every decision", max_chars=limit, on_change=_enter)
        return
    st.markdown(f"Deciding as **{plain(who())}**")
    st.button("Change name", on_click=lambda: st.session_state.pop("name"))


def _enter() -> None:
    st.session_state.name = st.session_state["name-box"]


def who() -> str:
    """The name at the login box; empty until one is given."""
    return str(st.session_state.get("name") or "").strip()


def select(episode: str, t: int) -> None:
    """Look at another step; `t` may lie outside and is moved into the episode when shown."""
    st.session_state.pop("lost", None)
    st.session_state.update(episode=episode, t=max(t, 0))


def chosen(ids: list[str]) -> str:
    """The selected episode if it is among `ids`, else the first."""
    if st.session_state.episode not in ids:
        lost = st.session_state.episode
        select(ids[0], 0)
        if lost:
            st.session_state.trouble = f"episode {lost} is not in this list; showing the first"
    return str(st.session_state.episode)


def looking_at(item: str) -> None:
    """Note since when an item is on the screen and how far the log was then."""
    if st.session_state.get("item") != item:
        st.session_state.update(item=item, since=time.monotonic())
    st.session_state.seen = log().head()[0]


def decide(kind: str, item: str, value: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    """Write one decision of the person at this tab; False (and the reason on the page) where it was refused."""
    seconds = round(time.monotonic() - st.session_state.get("since", time.monotonic()), 2)
    seen = st.session_state.get("seen", 0)
    return attempt(
        lambda: log().append(kind, item, by=who(), value=value, shown=shown, seconds=seconds, unchanged_since=seen)
    )


def attempt(action: Callable[[], Event]) -> bool:
    """Do what writes to the log; a refusal is kept for `trouble` to show."""
    try:
        st.session_state.seen = action().seq
    except RegraspError as error:
        st.session_state.trouble = str(error)
        return False
    st.session_state.pop("trouble", None)
    return True


def trouble() -> None:
    """Show why the last action was refused, once."""
    if reason := st.session_state.pop("trouble", None):
        st.warning(plain(reason), icon=":material/warning:")


def undo_mine(*kinds: str) -> Event | None:
    """Take back this person's last standing decision of the page's own `kinds` and return it; None where none is."""
    out, me = undone(events()), who()
    mine = [event for event in events() if event.by == me and event.seq not in out and event.kind in kinds]
    if not mine:
        st.session_state.trouble = "there is no decision of yours on this page left to undo"
        return None
    return mine[-1] if attempt(lambda: log().undo(mine[-1].seq, by=me)) else None


def key(label: str, shortcut: str, act: Callable[..., Any], *args: Any, deciding: bool = True, **more: Any) -> None:
    """A button with its key. One that decides needs a name at the login box first.

    It keeps its identity whatever its colour: else old and new would both hear one key press while the page changes.
    """
    off = more.pop("disabled", False) or (deciding and not who())
    identity = f"key-{shortcut}"
    st.button(label, key=identity, shortcut=shortcut, on_click=act, args=args, disabled=off, width="stretch", **more)


def empty(what: str, command: str = "") -> None:
    """A page with nothing to show says why, and which command comes next."""
    st.info(plain(what), icon=":material/info:")
    if command:
        at = "" if root() == Path("workspace") else f" --root {root()}"
        st.code(f"{command}{at}", language="bash")
