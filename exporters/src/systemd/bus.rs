//! A connection to the system bus: calls go out together, answers are waited for one after the other.
//!
//! The daemon knows who we are from the socket (`EXTERNAL` without a name), then `Hello` must come first. The
//! connection is kept from one collection to the next; after any error it is dropped and made anew. A daemon that
//! does not answer in [`PATIENCE`] is an error.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::wire::{self, Call};

/// How long one answer may take.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How many calls are on the way at once, so that neither side waits for the other to read.
pub const CALLS_AT_ONCE: usize = 64;

/// How many bytes of a message are read at once.
const READ_BYTES: usize = 64 << 10;

/// The most lines that the daemon may say before messages begin, in bytes.
const GREETING_BYTES_MAX: usize = 4_096;

const LOGIN: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
const HELLO: Call<'static> = Call {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    arguments: &[],
};

/// A connection, and the memory for calls and answers.
pub struct Bus {
    stream: UnixStream,
    serial: u32,
    out: Vec<u8>,
    message: Vec<u8>,
}

impl Bus {
    /// Logs in on a fresh connection.
    pub fn new(stream: UnixStream) -> io::Result<Bus> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut bus = Bus { stream, serial: 0, out: LOGIN.to_vec(), message: Vec::new() };
        bus.send()?;
        bus.read_greeting()?;
        let hello = bus.call(&HELLO);
        bus.send()?;
        bus.answer(hello, |_| ())?;
        Ok(bus)
    }

    /// Prepares a call; returns the number that its answer will have.
    pub fn call(&mut self, call: &Call<'_>) -> u32 {
        // Zero is no serial number.
        self.serial = self.serial.checked_add(1).unwrap_or(1);
        call.write(self.serial, &mut self.out);
        self.serial
    }

    /// Sends the calls prepared so far.
    pub fn send(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Waits for the answer to a call; `None` where it was refused. Answers must be asked for in the order of calls.
    pub fn answer<T>(&mut self, serial: u32, read: impl FnOnce(&[u8]) -> T) -> io::Result<Option<T>> {
        loop {
            self.receive()?;
            let answer = wire::read(&self.message).ok_or(io::ErrorKind::InvalidData)?;
            match answer.to {
                Some((to, is_good)) if to == serial => return Ok(is_good.then(|| read(answer.body))),
                // Signals, and answers that nobody waits for any more.
                _ => {}
            }
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        self.message.resize(wire::HEAD_BYTES, 0);
        self.stream.read_exact(&mut self.message)?;
        let bytes = wire::message_bytes(&self.message).ok_or(io::ErrorKind::InvalidData)?;
        // Memory is taken for what has come, not for what is announced.
        while self.message.len() < bytes {
            let filled = self.message.len();
            self.message.resize(bytes.min(filled + READ_BYTES), 0);
            self.stream.read_exact(&mut self.message[filled..])?;
        }
        Ok(())
    }

    /// Reads lines until the daemon says that we are let in.
    fn read_greeting(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        for _ in 0..GREETING_BYTES_MAX {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            if byte != *b"\n" {
                line.extend_from_slice(&byte);
                continue;
            }
            if line.starts_with(b"OK") {
                return Ok(());
            }
            if !line.starts_with(b"DATA") {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            line.clear();
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}
