#!/bin/sh
# The measurements, by name. usage: tests/bench/bench.sh GHTRADER [NAME ARGUMENTS…]   (`./x bench` calls it)
set -eu
unset GHTRADER_CACHE GHTRADER_TASKS
here=$(dirname "$0")
ghtrader=$1
shift

case ${1:-} in
runner)
    shift
    exec python3 -B "$here/runner" --ghtrader "$ghtrader" "$@"
    ;;
'' | -h | --help)
    cat <<'TEXT'
usage: ./x bench runner [--full] …     ghtrader beside other runners: seconds, processor time, memory, executions, and the bounds
                                       (without --full: small graphs, some minutes; --help lists the options)
TEXT
    ;;
*)
    echo "error: no bench is named \`$1\`: see ./x bench" >&2
    exit 2
    ;;
esac
