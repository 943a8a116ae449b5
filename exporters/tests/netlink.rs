//! A small board's answers over netlink and by `ioctl`, put together as the kernel lays them out.
//!
//! Two devices (`lo`, `eth0`), three routes, four sockets, three queues, one wireless device with one station. What
//! is asked by a question that is not known here is `Unsupported`, as with a kernel that lacks the module.

use std::io;

use exporters::netlink::Netlink;
use exporters::system::Ethtool;

/// A message under construction.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn put(mut self, bytes: &[u8]) -> Bytes {
        self.0.extend_from_slice(bytes);
        self
    }

    fn word(self, value: u32) -> Bytes {
        self.put(&value.to_ne_bytes())
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Bytes {
        self.0.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn number(self, kind: u16, value: u32) -> Bytes {
        self.attribute(kind, &value.to_ne_bytes())
    }
}

fn start() -> Bytes {
    Bytes::default()
}

/// Answers a question as [`exporters::System::netlink`] does.
pub fn answer(netlink: Netlink, request: &[u8], visit: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
    let kind = u16::from_ne_bytes([request[4], request[5]]);
    let (kind, messages) = match (netlink, kind) {
        (Netlink::Route, 18) => (16, links()),
        (Netlink::Route, 22) => (20, addresses()),
        (Netlink::Route, 26) => (24, routes()),
        (Netlink::Route, 38) => (36, queues()),
        (Netlink::Sockets, 20) => (20, sockets(request[16])),
        (Netlink::Generic, 16) => (16, vec![start().put(&[1, 2, 0, 0]).attribute(1, &28_u16.to_ne_bytes())]),
        (Netlink::Generic, 28) => (28, wireless(request[16])),
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    messages.iter().for_each(|message| visit(kind, &message.0));
    Ok(())
}

fn links() -> Vec<Bytes> {
    let link = |index: u32, name: &str, scale: u64| {
        let counts: Vec<u8> = (1..=24_u64).flat_map(|count| (count * scale).to_ne_bytes()).collect();
        let head = start().put(&[0; 4]).word(index).put(&[0; 8]);
        head.attribute(3, &[name.as_bytes(), b"\0"].concat()).attribute(23, &counts)
    };
    vec![link(1, "lo", 1), link(2, "eth0", 1_000)]
}

fn addresses() -> Vec<Bytes> {
    let address =
        |family, prefix, index: u32, bytes: &[u8]| start().put(&[family, prefix, 0, 0]).word(index).attribute(1, bytes);
    vec![address(2, 8, 1, &[127, 0, 0, 1]), address(2, 24, 2, &[192, 0, 2, 2])]
}

fn routes() -> Vec<Bytes> {
    let route = |prefix, protocol, kind| start().put(&[2, prefix, 0, 0, 254, protocol, 0, kind, 0, 0, 0, 0]);
    let hop = |device: u32, hops: u8, last: u8| {
        start().put(&16_u16.to_ne_bytes()).put(&[0, hops]).word(device).attribute(5, &[192, 0, 2, last]).0
    };
    vec![
        route(0, 16, 1).attribute(5, &[192, 0, 2, 1]).number(4, 2).number(6, 100).attribute(7, &[192, 0, 2, 2]),
        route(24, 2, 1).attribute(1, &[192, 0, 2, 0]).number(4, 2).attribute(7, &[192, 0, 2, 2]),
        route(16, 4, 1).attribute(1, &[10, 9, 0, 0]).attribute(9, &[hop(2, 0, 8), hop(2, 2, 9)].concat()),
        // Not to another host.
        route(32, 2, 2).attribute(1, &[192, 0, 2, 2]).number(4, 1),
    ]
}

fn queues() -> Vec<Bytes> {
    let queue = |device: u32, parent: u32, kind: &str| {
        let basic = start().put(&4_311_u64.to_ne_bytes()).word(28).word(0).0;
        let waiting = start().word(3).word(180).word(1).word(2).word(4).0;
        let stats = start().attribute(1, &basic).attribute(3, &waiting).0;
        let head = start().put(&[0; 4]).word(device).word(0).word(parent).word(0);
        head.attribute(1, &[kind.as_bytes(), b"\0"].concat()).attribute(7, &stats)
    };
    vec![queue(1, u32::MAX, "noqueue"), queue(2, u32::MAX, "fq_codel"), queue(2, 0x1_0001, "pfifo")]
}

fn sockets(family: u8) -> Vec<Bytes> {
    let socket = |state, received: u32, sent: u32| {
        start().put(&[family, state, 0, 0]).put(&[0; 48]).word(0).word(received).word(sent).put(&[0; 8])
    };
    if family == 2 { vec![socket(1, 0, 36), socket(1, 5, 0), socket(10, 0, 0)] } else { vec![socket(6, 0, 0)] }
}

fn wireless(command: u8) -> Vec<Bytes> {
    let head = || start().put(&[command, 1, 0, 0]);
    match command {
        5 => vec![head().number(3, 3).attribute(4, b"wlan0\0").number(38, 2_412), head().number(3, 4)],
        17 => {
            let rate = start().attribute(1, &1_640_u16.to_ne_bytes()).0;
            let counted = start().number(1, 400).number(2, 7).attribute(7, &[0xcc]).attribute(8, &rate).number(16, 30);
            let station = counted.attribute(23, &5_000_000_000_u64.to_ne_bytes()).number(18, 1).0;
            vec![head().attribute(6, &[0xaa, 0xbb, 0xcc, 1, 2, 3]).attribute(21, &station)]
        }
        32 => {
            let other = start().attribute(1, &[1; 6]).0;
            let own = start().attribute(1, &[2; 6]).attribute(6, b"\x01\x01x\x00\x04home").number(9, 1).0;
            vec![head().attribute(47, &other), head().attribute(47, &own)]
        }
        _ => Vec::new(),
    }
}

/// The counters of the driver that the golden was made with.
const COUNTERS: [&str; 21] = [
    "rx_drops",
    "rx_xdp_packets",
    "rx_xdp_tx",
    "rx_xdp_redirects",
    "rx_xdp_drops",
    "rx_kicks",
    "tx_xdp_tx",
    "tx_xdp_tx_drops",
    "tx_kicks",
    "tx_tx_timeouts",
    "rx0_drops",
    "rx0_xdp_packets",
    "rx0_xdp_tx",
    "rx0_xdp_redirects",
    "rx0_xdp_drops",
    "rx0_kicks",
    "tx0_xdp_tx",
    "tx0_xdp_tx_drops",
    "tx0_kicks",
    "tx0_tx_timeouts",
    // Without a name it is nothing.
    "",
];

/// Answers for `eth0` as [`exporters::System::ethtool`] does.
pub fn ethtool(device: &str, question: Ethtool, answer: &mut Vec<u8>) -> io::Result<()> {
    if device != "eth0" {
        return Err(io::Error::from_raw_os_error(95));
    }
    let field = |text: &str, bytes: usize| {
        let mut field = text.as_bytes().to_vec();
        field.resize(bytes, 0);
        field
    };
    let count = COUNTERS.len() as u32;
    *answer = match question {
        Ethtool::Settings => start().word(1).put(&[0; 40]).0,
        Ethtool::Driver => {
            let texts = [field("virtio_net", 32), field("1.0.0", 32), field("", 32), field("0000:00:03.0", 32)];
            start().word(3).put(&texts.concat()).put(&[0; 64]).0
        }
        Ethtool::CounterNames => {
            let names: Vec<u8> = COUNTERS.iter().flat_map(|name| field(name, 32)).collect();
            start().word(0x1b).word(1).word(count).put(&names).0
        }
        Ethtool::Counters => {
            let values: Vec<u8> = (0..u64::from(count)).flat_map(|value| (value * 10).to_ne_bytes()).collect();
            start().word(0x1d).word(count).put(&values).0
        }
    };
    Ok(())
}

/// A machine whose kernel refuses netlink.
struct Refused;

impl exporters::System for Refused {
    fn statfs(&self, _: &std::path::Path) -> io::Result<exporters::Space> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn uname(&self, _: &mut dyn FnMut(exporters::Uname<'_>)) {}

    fn wall(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

#[test]
fn where_netlink_is_refused_the_file_tells_devices() {
    let folder = crate::support::Folder::new("netlink-refused");
    std::fs::create_dir_all(folder.0.join("proc/net")).expect("a folder can be made");
    let line = " eth0: 7 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
    std::fs::write(folder.0.join("proc/net/dev"), format!("\n\n{line}")).expect("a file can be written");
    let flags = ["collector.disable-defaults", "collector.netdev"];
    let text = crate::support::printed(&mut crate::support::lane_over(&folder.0, &flags, Box::new(Refused)));
    for row in [
        "node_network_receive_bytes_total{device=\"eth0\"} 7",
        "node_network_transmit_compressed_total{device=\"eth0\"} 16",
        "node_scrape_collector_success{collector=\"netdev\"} 1",
    ] {
        assert!(text.lines().any(|line| line == row), "{row}\n{text}");
    }
    assert!(!text.contains("nohandler"), "only netlink tells it");
}
