"""The workspace as a server of the app has it open: one library, log, history and leases for all of its tabs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import streamlit as st

from audits.leases import Leases
from audits.log import AuditLog
from labeling_app.data import Library
from labeling_app.history import History


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


def history() -> History:
    """What was read of the log."""
    return _history(str(root().absolute()))


def leases() -> Leases:
    """Who looks at what."""
    return _leases(str(root().absolute()))


@st.cache_resource(show_spinner=False, max_entries=4)
def _library(path: str) -> Library:
    return Library(Path(path))


@st.cache_resource(show_spinner=False, max_entries=4)
def _log(path: str) -> AuditLog:
    return _library(path).log()


@st.cache_resource(show_spinner=False, max_entries=4)
def _history(path: str) -> History:
    return History(_log(path))


@st.cache_resource(show_spinner=False, max_entries=4)
def _leases(path: str) -> Leases:
    return Leases(_log(path).database)
