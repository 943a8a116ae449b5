//! A gate between the agent and a peer: connections go through until it is closed, and again once it is open.
//!
//! For a peer that must not be restarted itself, because somebody else is listening to it. The gate's port stays the
//! same while it is closed; what was on its way in either direction is lost, as on a network that fails.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An open or closed way to a peer.
pub struct Gate {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    is_over: bool,
    connections: Vec<TcpStream>,
}

impl Gate {
    /// Opens a gate to this address.
    ///
    /// # Panics
    /// When there is no loopback port.
    pub fn to(peer: SocketAddr) -> Gate {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let mut state = lock(&shared);
                if state.is_over {
                    return;
                }
                if !state.is_closed {
                    state.connections.extend(join(connection, peer));
                }
            }
        });
        Gate { address, state }
    }

    /// Returns where the gate listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection and lets no new one live.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        state.connections.drain(..).for_each(|connection| drop(connection.shutdown(Shutdown::Both)));
    }

    /// Lets connections through again.
    pub fn open(&self) {
        lock(&self.state).is_closed = false;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
        lock(&self.state).is_over = true;
        drop(TcpStream::connect(self.address));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Joins a connection with a new one to the peer, and returns what closes both.
fn join(near: TcpStream, peer: SocketAddr) -> Vec<TcpStream> {
    let Ok(far) = TcpStream::connect(peer) else { return Vec::new() };
    let kept = vec![near.try_clone().expect("a descriptor"), far.try_clone().expect("a descriptor")];
    let (near_too, far_too) = (near.try_clone().expect("a descriptor"), far.try_clone().expect("a descriptor"));
    std::thread::spawn(move || pump(near, far));
    std::thread::spawn(move || pump(far_too, near_too));
    kept
}

fn pump(mut from: TcpStream, mut into: TcpStream) {
    let mut buf = [0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut buf) {
        if into.write_all(&buf[..n]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), into.shutdown(Shutdown::Both));
}
