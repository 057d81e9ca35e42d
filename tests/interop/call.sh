#!/bin/sh
# Inside the namespace: a server on an address that is not loopback, and the clients of "$@" against it.
set -eu
python=$1
shift
: >server.out
"$python" -m palaver_server --host 10.99.0.1 --port 0 --insecure --workers 1 >server.out &
server=$!
trap 'kill $server; wait $server' EXIT
tail -f --pid=$server server.out | sed -n '/listening on/q'
url=$(sed -n 's/.*listening on \([^,]*\),.*/\1/p' server.out)
"$python" "$@" "$url"
