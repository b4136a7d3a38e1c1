#!/bin/sh
# Write a new file of settings for compose.yaml: new passwords, a new key, and the digests of the base images of
# today. The file is for its user alone, and one that is there is left as it is: its passwords are in use.
#
#   sh deployments/compose/new-settings.sh FILE
#
# Needs docker (it asks the registry for the digests) and python3.
set -eu
umask 077
if [ $# -ne 1 ]; then
    echo "usage: sh deployments/compose/new-settings.sh FILE" >&2
    exit 2
fi
if [ -e "$1" ] || [ -L "$1" ]; then
    echo "$1 is there already: name another file" >&2
    exit 2
fi

digest() {
    found=$(docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}')
    case $found in
        sha256:????????????????????????????????????????????????????????????????) echo "$found" ;;
        *) echo "docker named no digest of $1, but: $found" >&2; exit 1 ;;
    esac
}

random() {
    python3 -c "import secrets; print(secrets.token_hex(24))"
}

python=$(digest python:3.11-slim)
postgres=$(digest postgres:18)
password=$(random)
prefect_password=$(random)
key=$(python3 -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())")

set -C # whatever was put there meanwhile, a link too, is not written to
cat >"$1" <<END
PYTHON_DIGEST=$python
POSTGRES_DIGEST=$postgres
POSTGRES_PASSWORD=$password
PREFECT_AUTH=desk:$prefect_password
PREFECT_ENCRYPTION_KEY=$key
END
