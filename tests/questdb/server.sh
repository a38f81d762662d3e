#!/bin/sh
# A QuestDB on 127.0.0.1, for development and for the tests: the published jar from Maven Central, on Java 17.
#
#   server.sh install FOLDER            the jar and Java's, where they are missing
#   server.sh start FOLDER [PORT]       in the background, its data in FOLDER/data; port 9000 by default
#   server.sh stop FOLDER               ends the one that `start` began
#   server.sh status FOLDER             whether it runs
#   server.sh run FOLDER DATA PORT      in the foreground, its data in DATA: the process is the server's own
set -eu

version=9.3.4
heap=${QUESTDB_HEAP:-512m}

java_of() {
    command -v java >/dev/null 2>&1 || return 1
    java -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p'
}

debian() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing $*" >&2
        { apt-get update -qq && env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; } >&2
    else
        echo "QuestDB needs Java 17 and Maven (Debian: openjdk-17-jre-headless, maven)" >&2
        exit 1
    fi
}

install() {
    have=$(java_of || echo 0)
    [ "${have:-0}" -ge 17 ] || debian openjdk-17-jre-headless
    [ -s "$1/questdb-$version.jar" ] && return 0
    command -v mvn >/dev/null 2>&1 || debian maven
    echo "fetching QuestDB $version" >&2
    mkdir -p "$1"
    mvn --quiet --batch-mode dependency:copy -Dartifact="org.questdb:questdb:$version" -DoutputDirectory="$1" >&2
}

# Only what is asked here is bound, and only on loopback.
configure() {
    mkdir -p "$1/conf"
    cat >"$1/conf/server.conf" <<TEXT
http.bind.to=127.0.0.1:$2
http.min.enabled=false
line.tcp.enabled=false
pg.enabled=false
telemetry.enabled=false
shared.worker.count=2
line.auto.create.new.columns=false
line.auto.create.new.tables=false
TEXT
}

serve() {
    configure "$2" "$3"
    exec java -Xms64m "-Xmx$heap" -XX:+UseSerialGC -p "$1/questdb-$version.jar" -m io.questdb/io.questdb.ServerMain -d "$2"
}

# The process that `start` began, if it is still that.
running() {
    pid=$(cat "$1/pid" 2>/dev/null) && grep -qa io.questdb.ServerMain "/proc/$pid/cmdline" 2>/dev/null
}

answers() {
    python3 -c 'import sys, urllib.request as r; r.urlopen("http://127.0.0.1:%s/ping" % sys.argv[1], timeout=2)' "$1" 2>/dev/null
}

case ${1:-} in
install) install "$2" ;;
run) serve "$2" "$3" "$4" ;;
start)
    folder=$2 port=${3:-9000}
    if running "$folder"; then
        echo "it runs already: process $pid"
        exit 0
    fi
    install "$folder"
    (
        cd "$folder"
        setsid sh "$OLDPWD/$0" run "$folder" "$folder/data" "$port" </dev/null >"$folder/log" 2>&1 &
        echo $! >"$folder/pid"
    )
    tries=0
    until answers "$port"; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 "$(cat "$folder/pid")" 2>/dev/null; then
            echo "QuestDB does not start; the end of $folder/log:" >&2
            tail -n 20 "$folder/log" >&2
            exit 1
        fi
        sleep 0.1
    done
    echo "QuestDB $version on http://127.0.0.1:$port: -p 'store=questdb::http::addr=127.0.0.1:$port;'"
    ;;
stop)
    if running "$2"; then
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
        rm -f "$2/pid"
        echo "stopped"
    else
        echo "it does not run"
    fi
    ;;
status)
    if running "$2"; then
        echo "it runs: process $pid"
    else
        echo "it does not run"
        exit 1
    fi
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d'
    exit 2
    ;;
esac
