"""What one browser tab holds: who is deciding, and which task, episode and step they look at.

The selection stands in the address (`?task=&episode=&t=`), so that a link leads back to exactly what was seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec
from urllib.parse import quote, unquote

import streamlit as st

from audits.events import Event
from audits.leases import LEASE_S
from audits.state import AuditState
from episodes.errors import RegraspError
from labeling_app.history import Moment
from labeling_app.opened import history, leases
from labeling_app.opened import library as library
from labeling_app.opened import root as root

P = ParamSpec("P")
_drawing = ContextVar("drawing", default=False)
_COOKIE = "regrasp_by"
_NAME_CHARACTERS = 60
RENEW_S = LEASE_S / 2


def moment() -> Moment:
    """The log as this page shows it: the same one from the first line drawn to the last."""
    if "moment" not in st.session_state:
        st.session_state.moment = history().now()
    found: Moment = st.session_state.moment
    return found


def events() -> tuple[Event, ...]:
    """Every decision so far."""
    return moment().events


def state() -> AuditState:
    """What is decided now."""
    return moment().state


def explained(body: Callable[P, None]) -> Callable[P, None]:
    """Show any failure Regrasp explains as its one sentence, where the page would have been.

    The outermost reads the log anew; what is drawn inside shows the same moment.
    """

    @wraps(body)
    def shown(*args: P.args, **kwargs: P.kwargs) -> None:
        if not _drawing.get():
            st.session_state.pop("moment", None)
        outer = _drawing.set(True)
        try:
            body(*args, **kwargs)
        except RegraspError as error:
            st.error(plain(str(error)), icon=":material/error:")
        finally:
            _drawing.reset(outer)

    return shown


def fragment(body: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that reruns alone, its failures explained."""
    rerun: Callable[P, None] = st.fragment(explained(body))
    return rerun


def of_task(title: str, body: Callable[[str], None]) -> None:
    """The heading, and the body for the chosen task; without any episode what to do about that."""
    st.subheader(title)
    if library().tasks():
        body(st.session_state.task)
    else:
        empty("This workspace has no episodes yet. Collect some in simulation, or import yours:", "regrasp demo")


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


def publish_link(**more: str) -> None:
    """Put what is looked at into the address, and what else the page says of itself."""
    link = {"task": st.session_state.task, "episode": st.session_state.episode, "t": str(st.session_state.t)}
    link |= more
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
            if st.session_state.task != chosen:
                select("", 0)  # another task has other episodes
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
    """The selected episode; where a decision took it out of the list the one at its place, else the first."""
    wanted = st.session_state.episode
    if wanted not in ids:
        listed, place = st.session_state.get("listed", ("", 0))
        select(ids[min(place, len(ids) - 1)] if wanted == listed else ids[0], 0)
        if wanted not in ("", listed):
            st.session_state.trouble = f"episode {wanted} is not in this list; showing the first"
    found = str(st.session_state.episode)
    st.session_state.listed = found, ids.index(found)
    return found


def looking_at(item: str) -> None:
    """Note since when an item is on the screen and how far the log was then, and hold it for who looks."""
    now = time.monotonic()
    if st.session_state.get("item") != item:
        st.session_state.pop("held", None)
        st.session_state.update(item=item, since=now)
    st.session_state.seen = moment().seq
    if who() and now > st.session_state.get("held", (0.0, None))[0]:
        st.session_state.held = (now + RENEW_S, leases().take(item, who()))


def held() -> dict[str, str]:
    """Item -> who else looks at it now."""
    return {item: lease.by for item, lease in leases().held().items() if lease.by != who()}


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
