# Sourced by the scripts that bring Python packages of their own.
#
# Every package is pinned, so pip has nothing to look for. The stamp is written last, so that an installation that was
# interrupted is begun again; and it is done again when the requirements change.

python=${PYTHON:-python3}

# venv FOLDER REQUIREMENTS: the packages, in a virtual environment of that folder.
venv() {
    local folder=$1 requirements=$2
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "Python 3.11 or newer is needed: set PYTHON" >&2
        exit 2
    fi
    if ! cmp -s "$requirements" "$folder/requirements.txt"; then
        rm -rf "$folder"
        mkdir -p "$(dirname "$folder")"
        "$python" -m venv "$folder"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
        cp "$requirements" "$folder/requirements.txt"
    fi
}
