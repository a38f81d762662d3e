//! The supervisor: a process beside the runner that starts the tasks, and ends them all when the runner is gone.
//!
//! It has one thread and waits in one place. What a task leaves behind (also by `setsid` or a double fork) becomes a
//! child of the supervisor, which is a child subreaper; whose it was is seen from the task's path in its environment, or
//! else from its process group or session. What cannot be told apart so is left until no task runs, and then ended.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Stdout, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ending::Ending;
use super::files::Limit;
use super::groups::Groups;
use super::processes::{OwnChildren, Process, ProcessId, Reaped, process, reap, table, trees, variable};
use super::programs::Programs;
use super::task::Running;
use super::wire::{Command, Inbox};
use super::{ExecEvent, Exit, GRACE, REQUEST_VARIABLE, Usage};

/// So long a start may wait to be told together with what comes next: of a short task, its end.
const HOLD: Duration = Duration::from_millis(20);
/// While tasks run: what they left behind and what ended meanwhile is looked at.
const ROUND: Duration = Duration::from_secs(1);

/// Runs the supervisor: commands come over standard input, a socket; events go to standard output. The second argument
/// is the time between SIGTERM and SIGKILL in milliseconds, the third one how many files a task may have open; without it,
/// as many as the supervisor.
pub fn supervise() -> ExitCode {
    let grace = std::env::args().nth(2).and_then(|text| text.parse().ok()).map_or(GRACE, Duration::from_millis);
    // A session of its own: Ctrl-C on the terminal is for the runner, which decides what it means.
    let _ = rustix::process::setsid();
    if rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_err() {
        return ExitCode::FAILURE;
    }
    // A cluster sends SIGTERM to all processes of a job at once, also to those that are to see to it that the others end.
    // A handler, and not to ignore it: that would be handed down to the tasks.
    if signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::default()).is_err() {
        return ExitCode::FAILURE;
    }
    let given = std::env::args().nth(3).and_then(|text| text.parse().ok());
    let Ok(limit) = Limit::new(given) else { return ExitCode::FAILURE };
    let mut supervisor = Supervisor::new(grace, limit);
    while !supervisor.is_done() {
        supervisor.turn();
    }
    ExitCode::SUCCESS
}

struct Supervisor {
    grace: Duration,
    limit: Limit,
    inbox: Inbox,
    programs: Programs,
    groups: Groups,
    /// Whether the runner is still there.
    open: bool,
    tasks: BTreeMap<u64, Running>,
    /// What tasks left behind, by process.
    orphans: BTreeMap<ProcessId, u64>,
    /// What nobody can be held to have left behind.
    strays: BTreeSet<ProcessId>,
    ending_strays: Option<Ending>,
    children: OwnChildren,
    /// When the children were looked at.
    looked: Instant,
    /// Whether there were none when the last one that had ended was taken leave of.
    childless: bool,
    events: Vec<ExecEvent>,
    /// When the starts among the events have to be told.
    due: Option<Instant>,
    out: Stdout,
}

impl Supervisor {
    fn new(grace: Duration, limit: Limit) -> Self {
        Self {
            grace,
            limit,
            inbox: Inbox::default(),
            programs: Programs::default(),
            groups: Groups::default(),
            open: true,
            tasks: BTreeMap::new(),
            orphans: BTreeMap::new(),
            strays: BTreeSet::new(),
            ending_strays: None,
            children: OwnChildren::new(),
            looked: Instant::now(),
            childless: true,
            events: Vec::new(),
            due: None,
            out: std::io::stdout(),
        }
    }

    fn is_done(&self) -> bool {
        !self.open && self.tasks.is_empty() && self.strays.is_empty()
    }

    /// Waits for something to happen, and sees to it.
    fn turn(&mut self) {
        let heard = self.wait();
        if heard {
            self.listen();
        }
        for task in self.tasks.values_mut() {
            // What is left makes the next wait end at once.
            task.read_output(&mut self.events);
        }
        self.reap();
        if self.tasks.values().any(Running::is_ending) || self.looked.elapsed() >= ROUND || !self.open {
            self.look_at_children();
        }
        self.look_at_clock();
        self.end_all();
        self.tell();
    }

    /// Waits until a descriptor can be read or an alarm is due. Whether the runner sent something.
    fn wait(&self) -> bool {
        let stdin = std::io::stdin();
        let mut descriptors: Vec<PollFd<'_>> = Vec::with_capacity(2 * self.tasks.len() + 1);
        if self.open {
            descriptors.push(readable(stdin.as_fd()));
        }
        descriptors.extend(self.tasks.values().flat_map(Running::descriptors).map(readable));
        let timeout = self.timeout().and_then(|timeout| Timespec::try_from(timeout).ok());
        // An interrupted wait is one that ended early.
        let _ = poll(&mut descriptors, timeout.as_ref());
        self.open && descriptors.first().is_some_and(|first| !first.revents().is_empty())
    }

    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let alarms = self.tasks.values().filter_map(Running::alarm).chain(self.due);
        let alarms = alarms.chain(self.endings().map(Ending::look_at));
        let alarm = alarms.min().map(|alarm| alarm.saturating_duration_since(now));
        let round = (!self.tasks.is_empty() || !self.strays.is_empty()).then_some(ROUND);
        alarm.into_iter().chain(round).min()
    }

    fn endings(&self) -> impl Iterator<Item = &Ending> {
        self.tasks.values().filter_map(|task| task.ending.as_ref()).chain(&self.ending_strays)
    }

    fn listen(&mut self) {
        // An error is an end too: there is nobody to tell.
        if !self.inbox.receive(std::io::stdin()).unwrap_or(false) {
            self.open = false;
        }
        while let Some(command) = self.inbox.next() {
            match command {
                Ok((Command::Start(start), descriptors)) => {
                    let group = start.memory.and_then(|memory| self.groups.make(memory));
                    match Running::start(&start, &mut self.programs, &mut self.limit, group, descriptors) {
                        Ok(task) => {
                            self.events.push(ExecEvent::Started { id: task.id, pid: task.main.unsigned_abs() });
                            self.tasks.insert(task.id, task);
                        }
                        Err(error) => {
                            let exit = Exit::NotStarted(error.to_string());
                            let usage = Usage::default();
                            self.events.push(ExecEvent::Exited { id: start.id, exit, usage, alone: false });
                        }
                    }
                }
                Ok((Command::Stop { id }, _)) => self.stop(id),
                // A runner that speaks otherwise is not to be trusted with processes.
                Err(_) => self.open = false,
            }
        }
    }

    fn stop(&mut self, id: u64) {
        let grace = self.grace;
        if let Some(task) = self.tasks.get_mut(&id) {
            task.ending.get_or_insert_with(|| Ending::new(grace));
        }
    }

    /// Takes leave of all children that have ended.
    fn reap(&mut self) {
        loop {
            let ended = match reap() {
                Reaped::Ended(ended) => ended,
                Reaped::Alive => return self.childless = false,
                Reaped::Childless => return self.childless = true,
            };
            if let Some(task) = self.tasks.values_mut().find(|task| task.main == ended.pid && task.exit.is_none()) {
                task.ended(&ended);
            } else if let Some(task) = self.orphans.remove(&ended.pid).and_then(|id| self.tasks.get_mut(&id)) {
                task.add_usage(&ended);
            }
            self.strays.remove(&ended.pid);
        }
    }

    /// Finds out whose the children are that no one here has started.
    fn look_at_children(&mut self) {
        self.looked = Instant::now();
        if self.childless {
            return;
        }
        for pid in self.children.get() {
            let known = self.orphans.contains_key(&pid) || self.tasks.values().any(|task| task.main == pid);
            if known {
                continue;
            }
            match process(pid).and_then(|process| self.owner(pid, process)) {
                Some(id) => {
                    self.strays.remove(&pid);
                    self.orphans.insert(pid, id);
                }
                None => {
                    self.strays.insert(pid);
                }
            }
        }
    }

    fn owner(&self, pid: ProcessId, process: Process) -> Option<u64> {
        let mark = variable(pid, REQUEST_VARIABLE);
        let marked = self.tasks.values().find(|task| mark.as_ref() == Some(&task.mark));
        let grouped = || self.tasks.values().find(|task| task.main == process.group || task.main == process.session);
        // Where one task runs, it is the only one that can have left it.
        let only = || self.tasks.values().next().filter(|_| self.tasks.len() == 1);
        marked.or_else(grouped).or_else(only).map(|task| task.id)
    }

    fn look_at_clock(&mut self) {
        let now = Instant::now();
        for task in self.tasks.values_mut() {
            if task.exit.is_none() && task.ending.is_none() && task.deadline.is_some_and(|deadline| deadline <= now) {
                task.timed_out = true;
                task.ending = Some(Ending::new(self.grace));
            }
            if task.alarm().is_some_and(|alarm| alarm <= now) {
                task.tell_progress(&mut self.events);
            }
        }
    }

    /// Carries on with ending what has to end, and lets go of tasks of which nothing is left.
    fn end_all(&mut self) {
        let grace = self.grace;
        for task in self.tasks.values_mut() {
            let left_behind = task.exit.is_some() && self.orphans.values().any(|id| *id == task.id);
            if !self.open || left_behind {
                task.ending.get_or_insert_with(|| Ending::new(grace));
            }
        }
        let idle = self.tasks.values().all(|task| task.exit.is_some());
        if self.strays.is_empty() || !idle {
            self.ending_strays = None;
        } else {
            self.ending_strays.get_or_insert_with(|| Ending::new(grace));
        }
        self.signal();
        let ended: Vec<u64> = self
            .tasks
            .values()
            .filter(|task| task.exit.is_some() && !self.orphans.values().any(|id| *id == task.id))
            .map(|task| task.id)
            .collect();
        for task in ended.into_iter().filter_map(|id| self.tasks.remove(&id)) {
            task.finish(self.strays.is_empty(), &mut self.events);
        }
    }

    fn signal(&mut self) {
        let now = Instant::now();
        if self.endings().all(|ending| ending.look_at() > now) {
            return;
        }
        // Without it the next look tries again.
        let table = table().unwrap_or_default();
        for task in self.tasks.values_mut() {
            let Some(ending) = &mut task.ending else { continue };
            let mut roots: BTreeSet<ProcessId> =
                self.orphans.iter().filter(|(_, id)| **id == task.id).map(|(pid, _)| *pid).collect();
            if task.exit.is_none() {
                roots.insert(task.main);
            }
            ending.advance(&trees(&table, roots));
        }
        if let Some(ending) = &mut self.ending_strays {
            ending.advance(&trees(&table, self.strays.clone()));
        }
    }

    fn tell(&mut self) {
        if self.events.is_empty() {
            return;
        }
        if self.events.iter().all(|event| matches!(event, ExecEvent::Started { .. })) {
            let due = *self.due.get_or_insert_with(|| Instant::now() + HOLD);
            if Instant::now() < due {
                return;
            }
        }
        self.due = None;
        let mut text = Vec::new();
        for event in self.events.drain(..) {
            if serde_json::to_writer(&mut text, &event).is_ok() {
                text.push(b'\n');
            }
        }
        // A runner that is gone is noticed by the end of its commands.
        let _ = self.out.write_all(&text).and_then(|()| self.out.flush());
    }
}

fn readable(descriptor: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(descriptor, PollFlags::IN)
}
