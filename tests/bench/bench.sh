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
devices)
    shift
    exec python3 -B "$here/devices" --ghtrader "$ghtrader" "$@"
    ;;
data)
    shift
    exec python3 -B "$here/data" --ghtrader "$ghtrader" "$@"
    ;;
backfill)
    shift
    exec python3 -B "$here/backfill" --ghtrader "$ghtrader" "$@"
    ;;
histories)
    echo "history by history beside the reference interpreter; ${2:-10000} of them, seeds from ${HISTORY_SEED:-1}" >&2
    HISTORIES=${2:-10000} HISTORY_WAY=${HISTORY_WAY:-inside} exec \
        cargo test --release --locked --package ghtrader --test histories -- --nocapture
    ;;
schedule)
    exec cargo test --release --locked --package ghtrader --test schedule -- --ignored --nocapture
    ;;
'' | -h | --help)
    cat <<'TEXT'
usage: ./x bench runner [--full] …     ghtrader beside other runners: seconds, processor time, memory, executions, and the bounds
                                       (without --full: small graphs, some minutes; --help lists the options)
       ./x bench devices               tasks on four declared devices, beside GNU make -j with flock and HyperQueue
       ./x bench data [--small] …      CSV to Parquet, row hashes, main_l5 and memory, beside polars and pandas
       ./x bench backfill [--days N]   the flow backfill on 12 contracts × 3 varieties × 1,000 days: planning, running, a day more
       ./x bench histories [N]         N drawn histories (10,000) through the library, without processes; with processes:
                                       HISTORY_WAY=processes; HISTORY_SEED is the first seed
       ./x bench schedule              the scheduler on a simulated cluster: decisions a second, makespan and bound, memory
TEXT
    ;;
*)
    echo "error: no bench is named \`$1\`: see ./x bench" >&2
    exit 2
    ;;
esac
