# Writes sbom.json, a CycloneDX list of what production installs; its maker lives in a folder that is thrown away.
set -eu
python=$(sh devserver/find-python.sh)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check cyclonedx-bom
"$folder/bin/cyclonedx-py" requirements requirements.txt --pyproject pyproject.toml --output-reproducible --output-file sbom.json
echo "sbom.json: $("$python" -c 'import json; print(len(json.load(open("sbom.json"))["components"]))') packages"
