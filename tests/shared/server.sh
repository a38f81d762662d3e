#!/bin/sh
# Servers that speak S3, for the tests: both from the Go module proxy, built into a folder beside the target folder.
#
#   server.sh install FOLDER   gofakes3 (small, checks no signatures) and versitygw (checks them), where they are missing
set -eu

gofakes3=github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0
versitygw=github.com/versity/versitygw/cmd/versitygw@v1.8.0

case ${1:-} in
install)
    folder=$2
    [ -x "$folder/gofakes3" ] && [ -x "$folder/versitygw" ] && exit 0
    if ! command -v go >/dev/null 2>&1; then
        [ -x /usr/local/go/bin/go ] || {
            echo "no Go here to build the S3 servers with" >&2
            exit 1
        }
        PATH=$PATH:/usr/local/go/bin
    fi
    echo "building S3 servers for the tests" >&2
    mkdir -p "$folder"
    for program in "$gofakes3" "$versitygw"; do
        GOBIN=$(cd "$folder" && pwd) GOFLAGS=-modcacherw go install "$program"
    done
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
