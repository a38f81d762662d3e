#!/bin/sh
# Seconds of ghtrader and of its peers on the same graphs, measured in one run. Figures, no verdict.
# usage: tests/bench/run.sh GHTRADER [FAN [CHAIN]]   (`./x bench` calls it)
set -eu
unset GHTRADER_CACHE GHTRADER_TASKS
ghtrader=$1
fan=${2:-2000}
chain=${3:-500}
jobs=2
project=$(cd "$(dirname "$0")/../.." && pwd)
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
mkdir flows

# The same command everywhere, in the same shell: what differs is the runner.
flow_fan() {
    printf 'tasks:\n  fan:\n    run: echo "$MATRIX_N" >"$OUTPUT_X"\n'
    printf '    matrix: { n: "${{ range(%s) }}" }\n    outputs: { x: x.txt }\n' "$fan"
}

flow_chain() {
    printf 'tasks:\n  t0: { run: echo 0 >"$OUTPUT_X", outputs: { x: x.txt } }\n'
    seq "$((chain - 1))" | awk '{
        print "  t" $1 ": { run: (cat \"$INPUT_X\"; echo " $1 ") >\"$OUTPUT_X\", inputs: { x: { from: t" $1 - 1 " } }, outputs: { x: x.txt } }"
    }'
}

make_fan() {
    printf 'SHELL = bash\n.SHELLFLAGS = -euo pipefail -c\nall: $(addprefix fan.,$(shell seq 0 %s))\n' "$((fan - 1))"
    printf 'fan.%%:\n\t@echo "$*" >"$@"\n'
}

make_chain() {
    printf 'SHELL = bash\n.SHELLFLAGS = -euo pipefail -c\nall: chain.%s\n' "$((chain - 1))"
    printf 'chain.0:\n\t@echo 0 >"$@"\n'
    seq "$((chain - 1))" | awk '{ print "chain." $1 ": chain." $1 - 1 "\n\t@(cat \"$<\"; echo " $1 ") >\"$@\"" }'
}

ninja_fan() {
    printf 'rule r\n  command = bash -euo pipefail -c '\''echo "$n" >"$out"'\''\n'
    seq 0 "$((fan - 1))" | awk '{ print "build fan." $1 ": r\n  n = " $1 }'
}

ninja_chain() {
    printf 'rule r\n  command = bash -euo pipefail -c '\''(cat "$in"; echo "$n") >"$out"'\''\n'
    printf 'build chain.0: r /dev/null\n  n = 0\n'
    seq "$((chain - 1))" | awk '{ print "build chain." $1 ": r chain." $1 - 1 "\n  n = " $1 }'
}

snake_fan() {
    printf 'rule all:\n  input: expand("fan.{n}", n=range(%s))\n' "$fan"
    printf 'rule fan:\n  output: "fan.{n}"\n  shell: "echo {wildcards.n} >{output}"\n'
}

snake_chain() {
    printf 'rule all:\n  input: "chain.%s"\n' "$((chain - 1))"
    printf 'rule first:\n  output: "chain.0"\n  shell: "echo 0 >{output}"\n'
    printf 'rule next:\n  input: lambda w: f"chain.{int(w.n) - 1}"\n  output: "chain.{n,[1-9][0-9]*}"\n'
    printf '  shell: "(cat {input}; echo {wildcards.n}) >{output}"\n'
}

# Prints the seconds that a command takes; a command that fails ends the whole.
seconds() {
    begun=$(date +%s%N)
    "$@" >log 2>&1 || { cat log >&2; exit 1; }
    echo "$(date +%s%N) $begun" | awk '{ printf "%.2f", ($1 - $2) / 1e9 }'
}

# row GRAPH RUNNER COMMAND…: the first run, and the best of three in which there is nothing to do.
row() {
    graph=$1 runner=$2
    shift 2
    first=$(seconds "$@")
    again=$(for _ in 1 2 3; do seconds "$@"; echo; done | sort -n | head -n 1)
    printf '%-12s %-9s %8s %8s\n' "$graph" "$runner" "$first" "$again"
}

# peers GRAPH TASKS: each in a folder of its own; make is everywhere, the others where they are installed.
peers() {
    mkdir "make-$1" "ninja-$1" "snake-$1"
    "make_$1" >"make-$1/Makefile"
    row "$1 $2" make make -C "make-$1" --jobs "$jobs"
    if command -v ninja >/dev/null; then
        "ninja_$1" >"ninja-$1/build.ninja"
        row "$1 $2" ninja ninja -C "ninja-$1" -j "$jobs"
    fi
    if command -v snakemake >/dev/null; then
        "snake_$1" >"snake-$1/Snakefile"
        row "$1 $2" snakemake snakemake --directory "snake-$1" --snakefile "snake-$1/Snakefile" --cores "$jobs"
    fi
}

flow_fan >flows/fan.yaml
flow_chain >flows/chain.yaml
printf '%-12s %-9s %8s %8s\n' graph runner first no-op
row "fan $fan" ghtrader "$ghtrader" run fan --quiet --jobs "$jobs"
peers fan "$fan"
row "chain $chain" ghtrader "$ghtrader" run chain --quiet --jobs "$jobs"
peers chain "$chain"
if [ -d "$project/cache/v1" ]; then
    row daily ghtrader "$ghtrader" -C "$project" run daily --quiet
fi
