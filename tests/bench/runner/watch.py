"""Runs one command and writes what its whole process tree took. A program of its own, started with `python3 -I -S`.

It is small on purpose: the kernel counts the memory of a forked process from that of its parent, so this program's
own (about 10 MB) is the least that can be measured. It adopts what the command leaves behind (a child subreaper), so
that the time of a supervisor or a daemon counts too, and ends it where it does not end by itself.

usage: watch.py REPORT LIMIT LOG STOP -- COMMAND…      STOP: kill the command once LOG has so many lines; 0: never
"""

import ctypes
import json
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE = 10.0  # seconds that what is left behind has to end by itself
STEP = 0.002


class Late(Exception):
    """The time limit has passed."""


def descendants() -> list[int]:
    """The processes below this one, nearest first."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it has just ended
    found = [os.getpid()]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found[1:]


def end(processes: list[int]) -> None:
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Watch:
    """One run of the command."""

    def __init__(self, command: list[str]):
        self.cpu = 0.0
        self.rss = 0
        self.status = None
        self.began = time.monotonic()
        self.main = os.fork()
        if self.main == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                os.execvp(command[0], command)
            except OSError as error:
                print(error, file=sys.stderr)
                os._exit(127)

    def reap(self, options: int = 0) -> int:
        """Waits for one child and counts it; 0 where none has ended yet."""
        process, status, usage = os.wait4(-1, options)
        if process:
            self.cpu += usage.ru_utime + usage.ru_stime
            self.rss = max(self.rss, usage.ru_maxrss)
        if process == self.main:
            self.wall = time.monotonic() - self.began
            self.status = os.waitstatus_to_exitcode(status)
        return process

    def until_end(self, limit: float) -> bool:
        """Waits for the command, without polling: whether it ended in time."""

        def late(*_):
            raise Late

        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            while self.status is None:
                self.reap()
        except Late:
            end(descendants())
            while self.status is None:
                self.reap()
            return False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return True

    def until_lines(self, log: str, stop: int, limit: float) -> bool:
        """Kills the command alone, as a user or the kernel would, once the log has so many lines."""
        lines = 0
        with open(log, "rb") as file:
            while self.status is None and lines < stop and time.monotonic() - self.began < limit:
                lines += file.read().count(b"\n")
                if not self.reap(os.WNOHANG):
                    time.sleep(STEP)
        if self.status is None:
            os.kill(self.main, signal.SIGKILL)
        return self.until_end(GRACE) and lines >= stop

    def rest(self) -> int:
        """Waits for what the command left behind; how many had to be ended."""
        by = time.monotonic() + GRACE
        left = 0
        while True:
            try:
                if self.reap(os.WNOHANG):
                    continue
            except ChildProcessError:
                return left
            if time.monotonic() > by:
                left += len(descendants())
                end(descendants())
            time.sleep(STEP)


def stopped(*_) -> None:
    """The bench was stopped: nothing of what it started goes on."""
    end(descendants())
    os._exit(143)


def main() -> None:
    report, limit, log, stop = sys.argv[1:5]
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, stopped)
    watch = Watch(sys.argv[6:])
    if int(stop):
        in_time = watch.until_lines(log, int(stop), float(limit))
    else:
        in_time = watch.until_end(float(limit))
    left = watch.rest()
    with open(report, "w") as file:
        took = {"wall": watch.wall, "cpu": watch.cpu, "rss": watch.rss * 1024, "exit": watch.status}
        json.dump({**took, "in_time": in_time, "left": left}, file)


main()
