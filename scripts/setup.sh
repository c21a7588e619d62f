#!/usr/bin/env bash
# Installs what headlight needs, pinned, from the package registries. Safe to run again: what is
# there is left alone, and a finished step is remembered by a stamp that holds its inputs.
#
#   scripts/setup.sh build    compilers, C++ libraries, libtorch, the page's tools
#   scripts/setup.sh test     the same, and what the tests need
#   scripts/setup.sh lint     clang-format and clang-tidy
#   scripts/setup.sh bench    the rivals, in build/bench-venv
#   scripts/setup.sh neon     a cross compiler for aarch64 and qemu
#
# Debian packages go to the system (as root or through sudo); everything else goes below build/
# and web/node_modules. Set Torch_DIR to use a libtorch of your own instead of the pip package.
set -euo pipefail
cd "$(dirname "$0")/.."
goal="${1:-build}"

build_packages=(g++ make cmake ninja-build python3 python3-venv nodejs npm libcli11-dev
  nlohmann-json3-dev libfmt-dev libeigen3-dev libzip-dev zlib1g-dev libsentencepiece-dev
  libpng-dev libjpeg62-turbo-dev
  libicu-dev libonig-dev libtomlplusplus-dev)
test_packages=(libgtest-dev libgmock-dev pkg-config chromium git procps)
neon_packages=(g++-aarch64-linux-gnu qemu-user googletest)

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# A tool that is on the PATH counts as installed, wherever it came from.
have() {
  case "$1" in
    g++ | make | cmake | python3 | npm | git | chromium) command -v "$1" ;;
    nodejs) command -v node ;;
    ninja-build) command -v ninja ;;
    procps) command -v ps ;;
    python3-venv) python3 -c 'import ensurepip, venv' ;;
    *) [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
  esac >/dev/null 2>&1
}

install_packages() {
  local missing=() name as_root=()
  for name in "$@"; do have "$name" || missing+=("$name"); done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null ||
    fail "this machine has no apt-get; please install by hand: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
      fail "these Debian packages are missing and need root: run 'apt-get install ${missing[*]}' as root, then try again"
    as_root=(sudo -n)
  fi
  echo "setup: installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# venv_install REQUIREMENTS_FILE [FOLDER]: into build/venv, once per content of the file.
venv_install() {
  local stamp folder="${2:-build/venv}"
  stamp="$folder/.done-$(basename "$(dirname "$PWD/$1")")-$(sha256sum <"$1" | cut -c1-16)"
  [ -e "$stamp" ] && return
  [ -x "$folder/bin/pip" ] || python3 -m venv "$folder"
  echo "setup: installing $(grep -v '^#' "$1" | tr '\n' ' ')into $folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$1"
  touch "$stamp"
}

web_install() {
  local stamp
  stamp="web/node_modules/.done-$(sha256sum <web/package-lock.json | cut -c1-16)"
  [ -e "$stamp" ] && return
  echo "setup: installing the page's tools into web/node_modules"
  npm --prefix web ci --no-fund --no-audit --loglevel=error
  touch "$stamp"
}

mkdir -p build
case "$goal" in
  build | test)
    install_packages "${build_packages[@]}"
    [ -n "${Torch_DIR:-}" ] || venv_install requirements.txt
    web_install
    ;;&
  test)
    install_packages "${test_packages[@]}"
    venv_install tests/requirements.txt
    ;;
  lint)
    install_packages python3 python3-venv
    venv_install scripts/lint-requirements.txt build/lint-venv
    ;;
  bench) venv_install bench/requirements.txt build/bench-venv ;;
  neon) install_packages g++ cmake ninja-build "${neon_packages[@]}" ;;
  build) ;;
  *) fail "unknown goal '$goal'; one of build, test, lint, bench, neon" ;;
esac
