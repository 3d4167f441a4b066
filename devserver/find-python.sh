# Prints the command of the newest Python that can run Tollgate; pyenv's shims that lead nowhere are passed over.
for python in "$PYTHON" .venv/bin/python python3.13 python3.12 python3.11 python3 python; do
    [ -n "$python" ] || continue
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        echo "$python"
        exit 0
    fi
done
echo "Tollgate needs Python 3.11 or newer, and there is none on the PATH." >&2
echo "Install one (Debian: apt-get install python3 python3-venv), or name it: make run PYTHON=/path/to/python3" >&2
exit 1
