#!/bin/sh
# A Slurm of one node on this machine, for the tests: four declared devices, loopback only, no systemd, no control groups.
#
#   server.sh start FOLDER PORT PORT   all of it below FOLDER; SLURM_CONF=FOLDER/slurm.conf is how it is spoken to
#   server.sh crash FOLDER             the controller is killed (SIGKILL)
#   server.sh revive FOLDER            … and started again, with what it had written down
#   server.sh stop FOLDER              what `start` started, and nothing else, is ended
#   server.sh install                  the packages (Debian's), where they are missing; fails where there can be no server
set -eu

daemons='munged slurmctld slurmd sbatch'

missing() {
    for program in $daemons; do
        command -v "$program" >/dev/null 2>&1 || return 0
    done
    return 1
}

install() {
    if [ "$(id -u)" != 0 ]; then
        echo "a Slurm can be started by root only" >&2
        return 1
    fi
    missing || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "no Slurm here, and no apt-get to install it with" >&2
        return 1
    fi
    echo "installing Slurm for the tests" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends munge slurmctld slurmd slurm-client >/dev/null
}

configure() {
    mkdir -p "$root/state" "$root/spool" "$root/devices" "$root/munge"
    chmod 755 "$root" "$root/munge"
    for index in 0 1 2 3; do
        # Any character device will do: nothing opens it.
        [ -e "$root/devices/gpu$index" ] || mknod "$root/devices/gpu$index" c 1 3
    done
    head -c 256 /dev/urandom >"$root/munge/key"
    chmod 400 "$root/munge/key"
    cat >"$root/slurm.conf" <<TEXT
ClusterName=tests
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$1
SlurmdPort=$2
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$root/munge/socket
CredType=cred/munge
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool
SlurmctldPidFile=$root/slurmctld.pid
SlurmdPidFile=$root/slurmd.pid
SlurmctldLogFile=$root/slurmctld.log
SlurmdLogFile=$root/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=64
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MinJobAge=300
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=16 RealMemory=16000 Gres=gpu:4
PartitionName=all Nodes=$node Default=YES State=UP
TEXT
    echo "NodeName=$node Name=gpu File=$root/devices/gpu[0-3]" >"$root/gres.conf"
    printf 'CgroupAutomount=no\nConstrainDevices=no\n' >"$root/cgroup.conf"
}

# Waits until the node takes jobs.
ready() {
    tries=0
    until sinfo --noheader --format=%T 2>/dev/null | grep -qE '^(idle|mixed|allocated|completing)'; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then
            tail -n 5 "$root"/slurmctld.log "$root"/slurmd.log >&2
            return 1
        fi
        sleep 0.1
    done
}

end() {
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    kill "-$2" "$pid" 2>/dev/null || return 0
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
}

what=${1:-}
root=${2:-}
node=$(hostname -s)
export SLURM_CONF="$root/slurm.conf"
case $what in
install) install ;;
start)
    ! missing || { echo "no Slurm here" >&2; exit 1; }
    configure "$3" "$4"
    munged --force --key-file="$root/munge/key" --socket="$root/munge/socket" --pid-file="$root/munge/pid" \
        --log-file="$root/munge/log" --seed-file="$root/munge/seed"
    slurmctld
    slurmd -N "$node"
    ready
    ;;
crash) end "$root/slurmctld.pid" KILL ;;
revive)
    slurmctld
    ready
    ;;
stop)
    end "$root/slurmd.pid" TERM
    end "$root/slurmctld.pid" TERM
    end "$root/munge/pid" TERM
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
