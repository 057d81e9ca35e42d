#!/bin/sh
# Two machines on a wire: this network namespace with a server and a caller, and another one with a second caller.
# usage: two_machines.sh PYTHON; what each caller printed is in near.json and far.json
set -eu
python=$1
unshare -n sleep 60 &
far=$!
trap 'kill $far $server; wait' EXIT
ip link set lo up
until ip link add here type veth peer name there netns $far 2>/dev/null; do sleep 0.1; done
ip address add 10.98.0.1/24 dev here
ip link set here up
nsenter -t $far -n ip address add 10.98.0.2/24 dev there
nsenter -t $far -n ip link set there up
nsenter -t $far -n ip link set lo up

: >server.out
"$python" -m palaver_command serve --host 0.0.0.0 --port 0 --insecure --workers 1 >server.out &
server=$!
tail -f --pid=$server server.out | sed -n '/listening on/q'
port=$(sed -n 's/.*http:[^ ]*:\([0-9]*\),.*/\1/p' server.out)

set -- "$python" -m palaver_command call --room lobby --seconds 6 --json --output null
"$@" "http://127.0.0.1:$port" --name near --input tone:440 >near.json &
near=$!
nsenter -t $far -n "$@" "http://10.98.0.1:$port" --name far --input tone:880 >far.json
wait $near
