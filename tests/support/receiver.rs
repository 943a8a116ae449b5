//! A receiver on a loopback port that remembers what it was sent: for remote write, for webhooks, for anything posted.
//!
//! It can be told to answer anything, to fail so many times, to hang, to take a request and drop the connection before
//! it answers (what a power cut of the network looks like), and to be gone altogether. Its port is chosen by the
//! system and stays the same while it is gone. It takes several connections, each kept alive.

use std::collections::VecDeque;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::{http, remote_write, wait};

/// What it does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// Answers; 2xx means that it has it.
    Answer {
        /// The status.
        status: u16,
        /// Headers besides the length, such as `Retry-After`.
        headers: Vec<(String, String)>,
        /// What it says.
        body: String,
    },
    /// Takes the request and closes the connection without a word.
    TakeAndDrop,
    /// Reads the request and does not answer before the mood changes; then the connection is closed.
    Hang,
}

impl Mood {
    /// Returns the plain answer with this status.
    pub fn status(status: u16) -> Mood {
        Mood::Answer { status, headers: Vec::new(), body: String::new() }
    }

    fn takes(&self) -> bool {
        match self {
            Mood::Answer { status, .. } => (200..300).contains(status),
            Mood::TakeAndDrop => true,
            Mood::Hang => false,
        }
    }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// `POST`.
    pub method: String,
    /// The path, query included.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the receiver has it: answered with 2xx, or taken before the connection was dropped.
    pub taken: bool,
}

impl Request {
    /// Returns a header's value; names in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::find(&self.headers, name)
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the samples of a remote-write request.
    ///
    /// # Panics
    /// When it is none: what we send must be understood.
    pub fn samples(&self) -> Vec<remote_write::Sample> {
        remote_write::read(&self.body).unwrap_or_else(|e| panic!("not a write request: {e}"))
    }
}

/// A running receiver.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mood: Mood,
    next: VecDeque<Mood>,
    is_gone: bool,
    is_listening: bool,
    is_over: bool,
    requests: Vec<Request>,
    connections: Vec<TcpStream>,
}

impl Receiver {
    /// Starts one that answers 200 to everything.
    ///
    /// # Panics
    /// When there is no loopback port.
    pub fn start() -> Receiver {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("it is bound");
        let state = State {
            mood: Mood::status(200),
            next: VecDeque::new(),
            is_gone: false,
            is_listening: true,
            is_over: false,
            requests: Vec::new(),
            connections: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let listening = shared.clone();
        std::thread::spawn(move || listening.listen(listener, address));
        Receiver { address, shared }
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sets what it does from now on; who hangs is let go.
    pub fn set(&self, mood: Mood) {
        self.shared.lock().mood = mood;
        self.shared.changed.notify_all();
    }

    /// Sets what it does with the next requests, before it goes on as before.
    pub fn next(&self, times: usize, mood: &Mood) {
        self.shared.lock().next.extend(std::iter::repeat_n(mood.clone(), times));
    }

    /// Is gone: connections are closed and new ones refused, until [`Receiver::come_back`].
    ///
    /// # Panics
    /// When the port does not close.
    pub fn go_away(&self) {
        let connections = {
            let mut state = self.shared.lock();
            state.is_gone = true;
            std::mem::take(&mut state.connections)
        };
        self.shared.changed.notify_all();
        connections.iter().for_each(|connection| drop(connection.shutdown(Shutdown::Both)));
        // The listener is woken by a connection that it does not take.
        drop(TcpStream::connect(self.address));
        wait::until_true(wait::SOON, "the port to be closed", || !self.shared.lock().is_listening);
    }

    /// Listens again, on the same port.
    ///
    /// # Panics
    /// When the port was taken by somebody else meanwhile.
    pub fn come_back(&self) {
        self.shared.lock().is_gone = false;
        self.shared.changed.notify_all();
        wait::until_true(wait::SOON, "the port to be open again", || self.shared.lock().is_listening);
    }

    /// Returns all requests so far, in the order in which they were read.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Returns how many requests there were so far.
    pub fn count(&self) -> usize {
        self.shared.lock().requests.len()
    }

    /// Returns the samples of all the write requests it has, in order, repeated ones included.
    pub fn samples(&self) -> Vec<remote_write::Sample> {
        self.requests().iter().filter(|request| request.taken).flat_map(Request::samples).collect()
    }

    /// Waits until `ask` finds something in the requests so far.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn until<T>(&self, within: Duration, what: &str, mut ask: impl FnMut(&[Request]) -> Option<T>) -> T {
        wait::until(within, what, || ask(&self.shared.lock().requests))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let connections = {
            let mut state = self.shared.lock();
            state.is_over = true;
            std::mem::take(&mut state.connections)
        };
        self.shared.changed.notify_all();
        connections.iter().for_each(|connection| drop(connection.shutdown(Shutdown::Both)));
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn listen(self: &Arc<Shared>, listener: TcpListener, address: SocketAddr) {
        let mut listener = Some(listener);
        loop {
            let accepted = listener.as_ref().map(TcpListener::accept);
            let mut state = self.lock();
            if state.is_gone && !state.is_over {
                listener = None;
                state.is_listening = false;
                drop(self.changed.wait_while(state, |state| state.is_gone && !state.is_over));
                continue;
            }
            if state.is_over {
                return;
            }
            if listener.is_none() {
                drop(state);
                let bound = wait::try_until(wait::SOON, || TcpListener::bind(address).ok());
                self.lock().is_listening = bound.is_some();
                let Some(bound) = bound else { return };
                listener = Some(bound);
                continue;
            }
            if let Some(Ok((stream, _))) = accepted
                && let Ok(kept) = stream.try_clone()
            {
                state.connections.push(kept);
                let serving = self.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        }
    }

    fn serve(&self, stream: TcpStream) {
        // A connection that ends half way is the client's affair; the test looks at what was taken.
        let _ = self.talk(&stream);
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn talk(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some((line, headers)) = http::read_head(&mut reader)? {
            if http::find(&headers, "expect").is_some() {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body = http::read_body(&mut reader, &headers, false)?;
            let is_last = http::find(&headers, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            let Some(answer) = self.take(&line, headers, body) else { return Ok(()) };
            stream.write_all(answer.as_bytes())?;
            if is_last {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Remembers a request and returns the answer, or `None` when there is none.
    fn take(&self, line: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Option<String> {
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut state = self.lock();
        let mood = state.next.pop_front().unwrap_or_else(|| state.mood.clone());
        state.requests.push(Request { method, path, headers, body, taken: mood.takes() });
        match mood {
            Mood::Answer { status, headers, body } => {
                let mut answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n", body.len());
                headers.iter().for_each(|(name, value)| answer += &format!("{name}: {value}\r\n"));
                Some(format!("{answer}\r\n{body}"))
            }
            Mood::TakeAndDrop => None,
            Mood::Hang => {
                let still = |state: &mut State| state.mood == Mood::Hang && !state.is_over && !state.is_gone;
                drop(self.changed.wait_while(state, still));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn post(receiver: &Receiver, body: &str) -> io::Result<u16> {
        http::post(receiver.address(), "/hook", &[("X-Test", "1")], body.as_bytes()).map(|answer| answer.status)
    }

    #[test]
    fn requests_are_remembered_and_answered_as_told() {
        let receiver = Receiver::start();
        receiver.next(2, &Mood::status(500));
        let answers: Vec<u16> = ["a", "b", "c"].map(|body| post(&receiver, body).expect("an answer")).to_vec();
        assert_eq!(answers, [500, 500, 200]);
        let requests = receiver.requests();
        assert_eq!(
            requests.iter().map(|r| (r.text(), r.taken)).collect::<Vec<_>>(),
            [("a".to_owned(), false), ("b".to_owned(), false), ("c".to_owned(), true)]
        );
        assert_eq!((requests[0].path.as_str(), requests[0].header("x-test")), ("/hook", Some("1")));
        let retry_after = vec![("Retry-After".to_owned(), "7".to_owned())];
        receiver.set(Mood::Answer { status: 503, headers: retry_after, body: "busy".to_owned() });
        let answer = http::post(receiver.address(), "/", &[], b"d").expect("an answer");
        assert_eq!((answer.status, answer.header("retry-after"), answer.text()), (503, Some("7"), "busy".to_owned()));
    }

    #[test]
    fn what_was_taken_before_the_connection_dropped_is_there() {
        let receiver = Receiver::start();
        receiver.next(1, &Mood::TakeAndDrop);
        assert!(post(&receiver, "a").is_err());
        assert!(receiver.requests()[0].taken);
    }

    #[test]
    fn it_can_be_gone_and_come_back_on_the_same_port() {
        let receiver = Receiver::start();
        let kept = TcpStream::connect(receiver.address()).expect("it listens");
        post(&receiver, "a").expect("an answer");
        receiver.go_away();
        assert_eq!(post(&receiver, "b").expect_err("nobody is there").kind(), io::ErrorKind::ConnectionRefused);
        assert!(!matches!((&kept).read(&mut [0]), Ok(1..)), "the connection that was open is closed");
        receiver.come_back();
        assert_eq!(post(&receiver, "c").expect("an answer"), 200);
        assert_eq!(receiver.requests().iter().map(Request::text).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn it_can_hang_until_told_otherwise() {
        let receiver = Receiver::start();
        receiver.set(Mood::Hang);
        std::thread::scope(|scope| {
            let client = scope.spawn(|| post(&receiver, "a"));
            receiver.until(wait::SOON, "the request", |requests| requests.first().map(|_| ()));
            assert!(!client.is_finished());
            receiver.set(Mood::status(200));
            assert!(client.join().expect("no panic").is_err(), "closed without a word");
        });
        assert!(!receiver.requests()[0].taken);
        assert_eq!(post(&receiver, "b").expect("an answer"), 200);
    }
}
