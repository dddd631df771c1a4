# Sourced by ./run and ./test: what both need before anything can be run.
set -euo pipefail

root_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_jobs=${CHRONOVISOR_JOBS:-$(nproc)}

say() { printf '\n== %s\n' "$*"; }

# Installs whatever of cmake/packages.txt is missing, with apt.
install_packages() {
  local missing=() package
  while read -r package; do
    [ -n "$package" ] || continue
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
      missing+=("$package")
  done < "$root_folder/cmake/packages.txt"
  [ ${#missing[@]} -gt 0 ] || return 0
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  local become=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "error: these packages are missing and neither root nor sudo is at hand to install them:" >&2
      echo "  ${missing[*]}" >&2
      exit 3
    fi
    become=(sudo)
  fi
  "${become[@]}" apt-get update -qq
  "${become[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# configure FOLDER [cmake options]: a build tree of its own, with Ninja.
configure() {
  local folder=$1
  shift
  cmake -S "$root_folder" -B "$root_folder/$folder" -G Ninja "$@" >"$root_folder/$folder.log" 2>&1 || {
    cat "$root_folder/$folder.log" >&2
    echo "error: configuring $folder failed" >&2
    exit 3
  }
  rm -f "$root_folder/$folder.log"
}

# build FOLDER [targets]
build() {
  local folder=$1
  shift
  cmake --build "$root_folder/$folder" -j "$build_jobs" ${1:+--target "$@"}
}
