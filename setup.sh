#!/usr/bin/env bash
# Brings a virtual environment and the system libraries up to date: ./setup.sh [VENV]
#
# Does nothing when VENV already holds what pyproject.toml and constraints.txt ask for. Make calls it before everything
# else. PYTHON names the interpreter a new environment is made from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

venv=${1:-.venv}
python=$venv/bin/python
stamp=$venv/regrasp-setup
wanted=$(cat pyproject.toml constraints.txt setup.sh <(pwd) | sha256sum)

say() { printf '%s\n' "$*" >&2; }

has_library() { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -qF "$1"; }
has_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1
has_dri() { compgen -G '/usr/lib*/dri/*_dri.so' || compgen -G '/usr/lib/*/dri/*_dri.so'; } >/dev/null

missing_system_packages() { # the names are Debian's and Ubuntu's
    has_library libEGL.so.1 || echo libegl1
    has_library libEGL_mesa.so.0 || echo libegl-mesa0
    has_dri || echo libgl1-mesa-dri
    has_library libOSMesa.so || echo libosmesa6
    has_browser || echo chromium
}

install_system_packages() {
    local root=() package
    command -v apt-get >/dev/null || return 0
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 0
        root=(sudo -n)
    fi
    say "Installing system packages: $*"
    "${root[@]}" apt-get update -qq || true
    for package in "$@"; do # one by one: newer systems no longer have every one of them
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" || true
    done
}

name_what_is_missing() {
    if ! has_library libEGL.so.1 && ! has_library libOSMesa.so; then
        say "Off-screen rendering needs a GL library: install libegl1 libegl-mesa0 libgl1-mesa-dri (or libosmesa6)."
    fi
    has_browser || say "The browser tests are skipped without Chromium: install the package chromium."
}

make_environment() {
    local base=${PYTHON:-python3}
    "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "Regrasp needs Python 3.11 or newer and '$base' is not; name one with: make setup PYTHON=python3.12"
        exit 1
    }
    "$base" -m venv "$venv" || {
        say "'$base' cannot make a virtual environment in $venv; on Debian and Ubuntu install the package python3-venv."
        exit 1
    }
}

install_python_packages() {
    # torch and the build backend first: the build of regrasp itself then needs nothing from the network.
    "$python" -m pip install -c constraints.txt torch setuptools
    "$python" -m pip install -c constraints.txt --no-build-isolation -e '.[test]'
}

if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    mapfile -t missing < <(missing_system_packages)
    [ ${#missing[@]} -eq 0 ] || install_system_packages "${missing[@]}"
    "$python" -m pip --version >/dev/null 2>&1 || make_environment
    install_python_packages
    printf '%s\n' "$wanted" >"$stamp"
fi
name_what_is_missing
