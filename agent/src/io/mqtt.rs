//! MQTT out: one topic of one broker, each message acknowledged (QoS 1) before the next.
//!
//! rumqttc keeps the protocol; our cursor over the ring is in front of it, so its own queue holds one message at
//! most and nothing is lost with it. A connection that fails is thrown away whole, because rumqttc would otherwise
//! send its pending message again by itself beside ours. The answer that counts is the broker's PUBACK.
//!
//! Between messages nobody serves the connection, so it sends no pings: one that was silent for longer than its
//! keep-alive is taken for closed, which by then it is or soon will be, and a new one is made instead of an error.

use std::time::Duration;

use model::{Mono, Outcome};
use rumqttc::{Client, Connection, Event, MqttOptions, Packet, QoS, RecvTimeoutError};

use crate::os::clock::boottime;

/// How long connecting and one acknowledgement may take together.
const ACK_MS_MAX: u64 = 10_000;
/// The largest packet either way, in bytes; a frame is kept well under it by the uplink.
const PACKET_BYTES_MAX: usize = 256 << 10;

/// Where and as whom to publish.
#[derive(Clone)]
pub struct Broker {
    /// The broker's host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Our name to it; two clients of one name throw each other out.
    pub client_id: String,
    /// User and password, where the broker wants them.
    pub credentials: Option<(String, String)>,
    /// The topic.
    pub topic: String,
    /// How long the connection may be silent before either side asks.
    pub keep_alive: Duration,
}

/// Publishes messages, one at a time.
pub struct Publisher {
    broker: Broker,
    session: Option<(Client, Connection)>,
    used: Mono,
}

impl Publisher {
    /// Returns a publisher; it connects when there is something to publish.
    pub fn new(broker: Broker) -> Publisher {
        Publisher { broker, session: None, used: boottime() }
    }

    /// Publishes one message and waits for its acknowledgement.
    pub fn publish(&mut self, payload: &[u8]) -> Outcome {
        let is_stale = boottime() >= self.used.plus_ms(self.broker.keep_alive.as_millis() as u64);
        let session = self.session.take().filter(|_| !is_stale);
        let (client, mut connection) = session.unwrap_or_else(|| self.connect());
        if let Err(error) = client.try_publish(&self.broker.topic, QoS::AtLeastOnce, false, payload) {
            return Outcome::Retry { reason: format!("queueing the message: {error}"), after_ms: None };
        }
        match wait_for_ack(&mut connection) {
            Ok(()) => {
                self.used = boottime();
                self.session = Some((client, connection));
                Outcome::Delivered
            }
            Err(reason) => Outcome::Retry { reason, after_ms: None },
        }
    }

    fn connect(&self) -> (Client, Connection) {
        let broker = &self.broker;
        let mut options = MqttOptions::new(&broker.client_id, &broker.host, broker.port);
        options.set_keep_alive(broker.keep_alive);
        options.set_clean_session(true);
        options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
        if let Some((user, password)) = &broker.credentials {
            options.set_credentials(user, password);
        }
        Client::new(options, 1)
    }
}

fn wait_for_ack(connection: &mut Connection) -> Result<(), String> {
    let deadline = boottime().plus_ms(ACK_MS_MAX);
    loop {
        let left_ms = deadline.since_ms(boottime());
        match connection.recv_timeout(Duration::from_millis(left_ms)) {
            Ok(Ok(Event::Incoming(Packet::PubAck(_)))) => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(RecvTimeoutError::Timeout) => return Err("the broker did not acknowledge in time".to_owned()),
            Err(RecvTimeoutError::Disconnected) => return Err("the connection ended".to_owned()),
        }
    }
}
