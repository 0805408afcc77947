#!/usr/bin/env bash
# Fetches front-end files from npm packages by exact name, version and hash. They are never committed.
# vendor.sh run -> web/static/vendor; vendor.sh dev also -> tests/vendor (axe-core).
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-run}

fetch() { # name version sha512-integrity destination
  local name=$1 version=$2 want=$3 dest=$4 tmp
  [ "$(cat "$dest/.integrity" 2>/dev/null || true)" = "$want" ] && return 0
  echo "取前端文件 / fetching $name@$version"
  tmp=$(mktemp -d)
  npm pack --silent --pack-destination "$tmp" "$name@$version" >/dev/null
  local got; got=$(.venv/bin/python -c 'import base64, hashlib, sys; print("sha512-" + base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode())' "$tmp"/*.tgz)
  if [ "$got" != "$want" ]; then echo "$name@$version: 哈希不符 / hash differs: $got" >&2; exit 4; fi
  rm -rf "$dest"; mkdir -p "$dest"
  tar -xzf "$tmp"/*.tgz -C "$dest" --strip-components=1
  rm -rf "$tmp"
  printf '%s' "$want" > "$dest/.integrity"
}

cache=.venv/npm
fetch govuk-frontend 6.3.0 'sha512-cXIQxm5PHCsbic47GXZrVBZhAeeshTLRL6ZBKilLsR6rMCjJuWb7Fruq0VUNMBJFlJk/srsRj/q8d5bM9cgKoA==' $cache/govuk-frontend
out=web/static/vendor; mkdir -p $out
# Their fonts and crest are licensed for one government's sites only; ours come from the system.
.venv/bin/python - "$cache/govuk-frontend/dist/govuk/govuk-frontend.min.css" "$out/govuk-frontend.min.css" <<'PY'
import re, sys
css = open(sys.argv[1], encoding="utf-8").read()
css = re.sub(r"@font-face\{[^}]*\}", "", css)
css = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", css)
css = re.sub(r"url\([^)]*\)", "none", css)
open(sys.argv[2], "w", encoding="utf-8").write(css)
PY
( cd $out && { echo "| file | package | sha256 |"; echo "| --- | --- | --- |"
  for f in govuk-frontend.min.css; do
    p="govuk-frontend 6.3.0 (MIT), fonts and images removed"
    echo "| $f | $p | $(sha256sum $f | cut -d' ' -f1) |"; done; } > VENDOR.md )
if [ "$what" = dev ]; then
  fetch axe-core 4.14.1 'sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==' $cache/axe-core
  mkdir -p tests/vendor && cp $cache/axe-core/axe.min.js tests/vendor/axe.min.js
fi
