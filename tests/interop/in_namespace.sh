#!/bin/sh
# Run "$@" in a network namespace of its own, where 10.99.0.1 is an address that is not loopback.
set -eu
ip link set lo up
ip link add palaver0 type veth peer name palaver1
ip address add 10.99.0.1/24 dev palaver0
ip link set palaver0 up
ip link set palaver1 up
exec "$@"
