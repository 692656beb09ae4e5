#!/usr/bin/env bash
# build.sh OUTDIR [CLIENT...]: packages of functions that use the official runtime clients, OUTDIR/<client>.zip, each for
# provided.al2023. What cannot be built here leaves OUTDIR/<client>.reason instead; a finished package is not built again.
set -uo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
clients=("$@")
[ ${#clients[@]} -gt 0 ] || clients=(go rust python nodejs java)
here=$(cd "$(dirname "$0")" && pwd)
python=${MAYFLY_TEST_PYTHON:-/usr/bin/python3}
log=

need() {  # PROGRAM...
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "needs $program, which is not installed"; return 1; }
  done
}

# Zips what $1 holds, with the modes of its files.
pack() {
  "$python" - "$1" "$2" <<'PYTHON'
import os, sys, zipfile
root, target = sys.argv[1:]
with zipfile.ZipFile(target + ".new", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            archive.write(path, os.path.relpath(path, root))
os.rename(target + ".new", target)
PYTHON
}

build_go() {
  need go || return
  cp "$here"/go/* . && CGO_ENABLED=0 go build -tags lambda.norpc -ldflags='-s -w' -o package/bootstrap . >>"$log" 2>&1
}

build_rust() {
  need cargo || return
  cp -r "$here"/rust/* . && cargo build --quiet --release --locked --target-dir target >>"$log" 2>&1 &&
    cp target/release/bootstrap package/
}

build_python() {
  need "$python" || return
  cp "$here"/python/{app.py,bootstrap} package/
  "$python" -m pip --version >/dev/null 2>&1 || { "$python" -m venv venv && python_pip=venv/bin/python; } >>"$log" 2>&1
  "${python_pip:-$python}" -m pip install --quiet --only-binary :all: --target package/vendor -r "$here/python/requirements.txt" \
    >>"$log" 2>&1
}

# The client's native part is compiled during its installation, curl with it: this takes more than a minute.
build_nodejs() {
  need node npm cmake make c++ || return
  cp "$here"/nodejs/package.json . && cp "$here"/nodejs/{index.mjs,bootstrap} package/
  npm install --no-audit --no-fund --foreground-scripts >>"$log" 2>&1 || return
  local client=package/node_modules/aws-lambda-ric
  mkdir -p $client
  cp node_modules/aws-lambda-ric/{index.mjs,package.json,rapid-client.node} $client/ 2>>"$log" ||
    { echo "the native part of aws-lambda-ric was not built"; return 1; }
}

build_java() {
  need javac mvn || return
  cp "$here"/java/{pom.xml,Echo.java} . && cp "$here"/java/bootstrap package/
  mvn -q -B dependency:copy-dependencies -DoutputDirectory=package/lib >>"$log" 2>&1 &&
    javac -cp 'package/lib/*' -d package Echo.java >>"$log" 2>&1
}

failed=0
for client in "${clients[@]}"; do
  [ -f "$out/$client.zip" ] && [ -z "$(find "$here/$client" "$here/build.sh" -type f -newer "$out/$client.zip")" ] && continue
  rm -f "$out/$client.zip" "$out/$client.reason"
  work=$(mktemp -d)
  log=$work/log
  : >"$log"
  mkdir "$work/package"
  if reason=$(cd "$work" && "build_$client"); then
    pack "$work/package" "$out/$client.zip"
  else
    { [ -n "$reason" ] && echo "$reason"; tail -n 15 "$log"; } >"$out/$client.reason"
    echo "build.sh: no $client: $(head -n 1 "$out/$client.reason")" >&2
    failed=1
  fi
  rm -rf "$work"
done
exit $failed
