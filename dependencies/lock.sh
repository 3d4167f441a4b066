# Writes the three locks anew, with hashes and without addresses; uv lives in a folder that is thrown away.
set -eu
python=$(sh devserver/find-python.sh)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check uv

compile() {
    output=$1
    shift
    echo "$output"
    env -u PIP_FIND_LINKS "$folder/bin/uv" pip compile --quiet --universal --generate-hashes \
        --no-emit-index-url --no-emit-find-links --python-version 3.11 --no-emit-package tollgate \
        --custom-compile-command "make lock" "$@" pyproject.toml --output-file "$output"
}

compile requirements.txt
compile requirements-local.txt --extra local --constraint requirements.txt
compile requirements-test.txt --extra test --constraint requirements.txt --constraint requirements-local.txt
