//! Between runner and supervisor: JSON lines, commands over a socket that also carries descriptors, events over a pipe.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, send, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::Job;

/// Descriptors in one message; the kernel takes 253.
pub(super) const MOST_DESCRIPTORS: usize = 200;

/// What the runner asks of the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Command {
    Start(Start),
    Stop { id: u64 },
}

/// A [`Job`]; its descriptors come with the first byte of the line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    pub(super) id: u64,
    pub(super) argv: Vec<Text>,
    pub(super) env: Vec<(Text, Text)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) secrets: Vec<String>,
    pub(super) cwd: Text,
    pub(super) log: Text,
    pub(super) descriptors: usize,
    pub(super) timeout: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<u64>,
}

impl Start {
    pub(super) fn of(job: Job) -> (Self, Vec<OwnedFd>) {
        let start = Self {
            id: job.id,
            argv: job.argv.into_iter().map(Text).collect(),
            env: job.env.into_iter().map(|(name, value)| (Text(name), Text(value))).collect(),
            secrets: job.secrets,
            cwd: Text(job.cwd.into()),
            log: Text(job.log.into()),
            descriptors: job.locks.len(),
            timeout: job.timeout,
            memory: job.memory,
        };
        (start, job.locks)
    }

    /// The job again, as it is run on a node.
    pub(super) fn into_job(self, locks: Vec<OwnedFd>) -> Job {
        Job {
            id: self.id,
            wanted: None,
            argv: self.argv.into_iter().map(|text| text.0).collect(),
            env: self.env.into_iter().map(|(name, value)| (name.0, value.0)).collect(),
            secrets: self.secrets,
            cwd: self.cwd.0.into(),
            log: self.log.0.into(),
            locks,
            timeout: self.timeout,
            memory: self.memory,
            apart: false,
        }
    }

    /// The values of its secrets.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        let is_secret = |name: &Text| self.secrets.iter().any(|secret| name.0 == secret.as_str());
        self.env.iter().filter(move |(name, _)| is_secret(name)).map(|(_, value)| value.0.as_bytes())
    }
}

/// A text of the system, which need not be UTF-8: JSON text where it is, else its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TextForm", into = "TextForm")]
pub(super) struct Text(pub(super) OsString);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TextForm {
    Plain(String),
    Bytes(Vec<u8>),
}

impl From<TextForm> for Text {
    fn from(form: TextForm) -> Self {
        Self(match form {
            TextForm::Plain(text) => text.into(),
            TextForm::Bytes(bytes) => OsString::from_vec(bytes),
        })
    }
}

impl From<Text> for TextForm {
    fn from(text: Text) -> Self {
        text.0.into_string().map_or_else(|text| Self::Bytes(text.into_vec()), Self::Plain)
    }
}

impl AsRef<OsStr> for Text {
    fn as_ref(&self) -> &OsStr {
        OsStr::from_bytes(self.0.as_bytes())
    }
}

/// Sends a command with descriptors.
pub(super) fn send_command(socket: impl AsFd, command: &Command, descriptors: &[OwnedFd]) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    if !borrowed.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(std::io::Error::other("too many descriptors"));
    }
    let mut sent = again(|| sendmsg(&socket, &[IoSlice::new(&line)], &mut ancillary, SendFlags::NOSIGNAL))?;
    while let Some(rest) = line.get(sent..).filter(|rest| !rest.is_empty()) {
        sent += again(|| send(&socket, rest, SendFlags::NOSIGNAL))?;
    }
    Ok(())
}

fn again<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map_err(std::io::Error::from),
        }
    }
}

/// Commands as they arrive.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// By the number of the line that they came with.
    descriptors: BTreeMap<u64, Vec<OwnedFd>>,
    /// Ends of lines that were received.
    ends: u64,
    /// Commands that were given out.
    given: u64,
}

impl Inbox {
    /// Receives what is there; `false` at the end.
    pub(super) fn receive(&mut self, socket: impl AsFd) -> std::io::Result<bool> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0; 8 << 10];
        let received =
            again(|| recvmsg(&socket, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
        let bytes = buffer.get(..received.bytes).unwrap_or_default();
        let ends = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        // What comes with descriptors is received no further than to the end of what was sent with them: they belong to
        // the last line that begins here. Where there was no room for some, this keeps them apart from those of others.
        let line = self.ends + bytes.split_last().map_or(0, |(_, before)| ends(before));
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.entry(line).or_default().extend(descriptors);
            }
        }
        self.ends += ends(bytes);
        self.bytes.extend_from_slice(bytes);
        Ok(received.bytes > 0)
    }

    /// The next whole command, with those of its descriptors that came through.
    pub(super) fn next(&mut self) -> Option<std::io::Result<(Command, Vec<OwnedFd>)>> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.bytes.drain(..=end).collect();
        let descriptors = self.descriptors.remove(&self.given).unwrap_or_default();
        self.given += 1;
        Some(serde_json::from_slice(&line).map_err(std::io::Error::from).map(|command| (command, descriptors)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn start(id: u64, size: usize, descriptors: usize) -> Command {
        let odd = OsString::from_vec(vec![b'=', 0xff, b'\n']);
        Command::Start(Start {
            id,
            argv: vec![Text("x".repeat(size).into())],
            env: vec![(Text("A".into()), Text(odd))],
            secrets: Vec::new(),
            cwd: Text("/".into()),
            log: Text("/dev/null".into()),
            descriptors,
            timeout: Some(Duration::from_millis(1500)),
            memory: None,
        })
    }

    #[test]
    fn commands_of_any_size_arrive_with_their_own_descriptors() {
        let (near, far) = UnixStream::pair().unwrap();
        let sender = std::thread::spawn(move || {
            for (id, size) in [(1, 10), (2, 1_000_000), (3, 0)] {
                let (read, mut write) = std::io::pipe().unwrap();
                writeln!(write, "{id}").unwrap();
                send_command(&near, &start(id, size, 1), &[read.into()]).unwrap();
                send_command(&near, &Command::Stop { id }, &[]).unwrap();
            }
        });
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        while inbox.receive(&far).unwrap() {
            while let Some(command) = inbox.next() {
                seen.push(command.unwrap());
            }
        }
        sender.join().unwrap();
        assert_eq!(seen.len(), 6);
        for (index, (command, descriptors)) in seen.into_iter().enumerate() {
            let number = index as u64 / 2 + 1;
            match command {
                Command::Stop { id } => assert_eq!((id, descriptors.len()), (number, 0)),
                Command::Start(start) => {
                    assert_eq!(start.env[0].1.0.as_bytes(), [b'=', 0xff, b'\n']);
                    let mut text = String::new();
                    let descriptor = descriptors.into_iter().next().unwrap();
                    std::io::PipeReader::from(descriptor).read_to_string(&mut text).unwrap();
                    assert_eq!((start.id, text), (number, format!("{number}\n")));
                }
            }
        }
    }

    /// As where there was no room for one of them.
    #[test]
    fn a_lost_descriptor_is_not_replaced_by_that_of_the_next_command() {
        let (near, far) = UnixStream::pair().unwrap();
        let pipe = || OwnedFd::from(std::io::pipe().unwrap().0);
        let sender = std::thread::spawn(move || {
            for (id, size, there) in [(1, 0, 1), (2, 100_000, 2), (3, 0, 0), (4, 9000, 2), (5, 0, 1)] {
                let descriptors: Vec<OwnedFd> = (0..there).map(|_| pipe()).collect();
                send_command(&near, &start(id, size, 2), &descriptors).unwrap();
                send_command(&near, &Command::Stop { id }, &[]).unwrap();
            }
        });
        // As much as may be is received at once.
        std::thread::sleep(Duration::from_millis(50));
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        while inbox.receive(&far).unwrap() {
            while let Some(command) = inbox.next() {
                let (command, descriptors) = command.unwrap();
                if matches!(command, Command::Start(_)) {
                    seen.push(descriptors.len())
                } else {
                    assert!(descriptors.is_empty())
                }
            }
        }
        sender.join().unwrap();
        assert_eq!(seen, [1, 2, 0, 2, 1]);
    }
}
