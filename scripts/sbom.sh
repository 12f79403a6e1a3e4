#!/usr/bin/env bash
# Write the bill of materials of what is shipped: dist/mensageiro.cdx.json (CycloneDX), of the wheel in an environment made from the lock.
#   scripts/sbom.sh VENV    VENV has cyclonedx-py and hatchling
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "$1")/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$bin/hatchling" build -t wheel -d "$work" >/dev/null 2>&1
"$bin/python" -m venv --without-pip "$work/shipped"
"$bin/pip" --disable-pip-version-check -qq --python "$work/shipped/bin/python" install --require-hashes -r requirements/runtime.txt
"$bin/pip" --disable-pip-version-check -qq --python "$work/shipped/bin/python" install --no-deps --no-index "$work"/*.whl
mkdir -p dist
"$bin/cyclonedx-py" environment "$work/shipped/bin/python" --pyproject pyproject.toml --output-reproducible --of JSON -o "$work/sbom.json"
# It names the folder that the wheel came from, which is gone by now, and no version, which the sources alone tell.
"$bin/python" - "$work/sbom.json" dist/mensageiro.cdx.json "$("$work/shipped/bin/mensageiro" --version)" <<'PYTHON'
import json, sys

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
document["metadata"]["component"]["version"] = sys.argv[3].rpartition(" ")[2]
for component in (document["metadata"]["component"], *document["components"]):
    links = component.pop("externalReferences", [])
    if kept := [link for link in links if not link["url"].startswith("file:")]:
        component["externalReferences"] = kept
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(document, file, indent=2, ensure_ascii=False, sort_keys=True)
    file.write("\n")
PYTHON
echo "sbom: dist/mensageiro.cdx.json"
