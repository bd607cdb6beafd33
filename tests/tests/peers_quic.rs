//! QUIC migration with real end points (quinn): packets to a port that is or was just in use are no probes. Runs as root.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};
use sensor_common::wire::What;
use sensor_common::{Kind, Proto};
use tempfile::TempDir;
use tests::sensor::{Sensor, WAN0};
use tests::stored::Stored;
use tests::traffic::{Wire, udp};
use tests::watcher::watched;
use tests::world::{HOST, LATER, POOL, SCANNER, SITE, STRANGER, World};
use tokio::runtime::Runtime;
use tokio::time::timeout;

const UDP: u8 = Proto::Udp as u8;
const UDP_PROBE: u8 = Kind::Udp as u8;

const PATIENCE: Duration = Duration::from_secs(5);
const NAME: &str = "quic.example";

/// End points in namespaces, and one server, which echoes.
struct Quic {
    runtime: Runtime,
    client: ClientConfig,
    _server: Endpoint,
    /// The client's address for each question, as the server saw it.
    heard: Receiver<SocketAddr>,
}

impl Quic {
    fn serve(socket: UdpSocket) -> Quic {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let certificate = CertificateDer::from(made.cert);
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut server = ServerConfig::with_single_cert(vec![certificate.clone()], key.into()).expect("a server");
        server.transport_config(transport());
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a root");
        let mut client = ClientConfig::with_root_certificates(Arc::new(roots)).expect("a client");
        client.transport_config(transport());

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let server = endpoint(&runtime, socket, Some(server));
        let (tell, heard) = channel();
        let accepting = server.clone();
        runtime.spawn(async move {
            let connection = accepting.accept().await.expect("a client").await.expect("a connection");
            while let Ok((mut answer, mut question)) = connection.accept_bi().await {
                let text = question.read_to_end(100).await.expect("a question");
                tell.send(connection.remote_address()).expect("the test listens");
                answer.write_all(&text).await.expect("an answer");
                answer.finish().expect("its end");
            }
        });
        Quic { runtime, client, _server: server, heard }
    }

    fn connect(&self, socket: UdpSocket, to: (Ipv6Addr, u16)) -> (Endpoint, Connection) {
        let endpoint = endpoint(&self.runtime, socket, None);
        let _inside = self.runtime.enter();
        let connecting = endpoint.connect_with(self.client.clone(), to.into(), NAME).expect("begin a connection");
        let connection = self.runtime.block_on(async { timeout(PATIENCE, connecting).await });
        (endpoint, connection.expect("in time").expect("a connection"))
    }

    /// Continues from another socket.
    fn migrate(&self, client: &Endpoint, socket: UdpSocket) {
        let _inside = self.runtime.enter();
        client.rebind(socket).expect("another socket");
    }

    /// Sends a question and receives the answer. Returns the client's address as the server saw it.
    #[track_caller]
    fn ask(&self, connection: &Connection) -> SocketAddr {
        let asked = async {
            let (mut question, mut answer) = connection.open_bi().await.expect("a stream");
            question.write_all(b"hello").await.expect("a question");
            question.finish().expect("its end");
            answer.read_to_end(100).await.expect("an answer")
        };
        let answer = self.runtime.block_on(async { timeout(PATIENCE, asked).await });
        assert_eq!(answer.expect("in time"), b"hello");
        self.heard.recv_timeout(PATIENCE).expect("the server heard it")
    }

    /// Begins a connection to a closed port: a client's first packet and its repeats.
    fn knock(&self, socket: UdpSocket, at: (Ipv6Addr, u16)) -> Endpoint {
        let endpoint = endpoint(&self.runtime, socket, None);
        let _inside = self.runtime.enter();
        let connecting = endpoint.connect_with(self.client.clone(), at.into(), NAME).expect("begin a connection");
        self.runtime.block_on(async { timeout(Duration::from_millis(100), connecting).await }).expect_err("nobody");
        endpoint
    }
}

/// Without a search for the path's MTU: then a packet padded to 1,200 bytes after the handshake is a path validation
/// (RFC 9000, 8.2.1).
fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.mtu_discovery_config(None);
    Arc::new(transport)
}

fn endpoint(runtime: &Runtime, socket: UdpSocket, server: Option<ServerConfig>) -> Endpoint {
    let _inside = runtime.enter();
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime)).expect("an end point")
}

/// A client at home that moves from port 50001 to 50002. Returns when the server has validated the old path again, as it
/// does against attackers who redirect it (RFC 9000, 9.3.3).
fn migrate_at_home(world: &World, quic: &Quic) -> (Endpoint, Connection) {
    let (client, connection) = quic.connect(udp(&world.host, HOST, 50_001), (SITE, 443));
    assert_eq!(quic.ask(&connection), (HOST, 50_001).into());
    let wire = Wire::open(&world.host, "eth0");
    quic.migrate(&client, udp(&world.host, HOST, 50_002));
    assert_eq!(quic.ask(&connection), (HOST, 50_002).into());
    let router = world.router.mac("lan0");
    let is_validation_of_old_path = |frame: &[u8]| {
        let ip = &frame[14..];
        ip[6] == 17 && ip[42..44] == 50_001_u16.to_be_bytes() && ip.len() >= 40 + 8 + 1_200
    };
    // `receive` panics when no more frames come.
    while !wire.receive(Some(router), 1).iter().any(|frame| is_validation_of_old_path(frame)) {}
    (client, connection)
}

#[test]
fn packets_to_a_migrating_quic_client_at_home_are_no_probes() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    world.host.ip(&format!("address add {LATER}/64 dev eth0 nodad"));
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let quic = Quic::serve(udp(&world.internet, SITE, 443));
    let (client, connection) = migrate_at_home(&world, &quic);
    quic.migrate(&client, udp(&world.host, LATER, 50_002));
    assert_eq!(quic.ask(&connection), (LATER, 50_002).into());
    assert_eq!(sensor.fates("probe")[1], 0);

    // Counter-example: a stranger at a port that the client never used.
    let _stranger = quic.knock(udp(&world.internet, STRANGER, 443), (HOST, 50_003));
    sensor.wait_for("probe", 1);
    sensor.stop();
    let stored = Stored::read(state.path());
    assert_eq!(stored.probes, [(STRANGER, HOST, UDP_PROBE, 50_003)].into());
    assert_eq!(stored.contacts, [(HOST, SITE, UDP, 443), (LATER, SITE, UDP, 443)].into());
}

#[test]
fn a_port_that_a_quic_client_left_is_unused_after_five_minutes() {
    let (world, mut watcher) = watched();
    let quic = Quic::serve(udp(&world.internet, SITE, 443));
    let (_client, _connection) = migrate_at_home(&world, &quic);
    watcher.pass(200);
    let _early = quic.knock(udp(&world.internet, POOL, 443), (HOST, 50_001));
    assert_eq!(watcher.probes(), []);
    // The kernel counted none either: the ledger, which applies the rule again, corrected nothing.
    assert_eq!(watcher.matched(What::Probe), 0);
    watcher.pass(420);
    let _late = quic.knock(udp(&world.internet, STRANGER, 443), (HOST, 50_001));
    assert_eq!(watcher.probes(), [(STRANGER, HOST, Kind::Udp, 50_001)]);
}

#[test]
fn a_migrating_quic_visitor_is_a_probe_once() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let quic = Quic::serve(udp(&world.host, HOST, 4_433));
    let (client, connection) = quic.connect(udp(&world.internet, POOL, 50_001), (HOST, 4_433));
    assert_eq!(quic.ask(&connection), (POOL, 50_001).into());
    for (address, port) in [(POOL, 50_002), (STRANGER, 50_002), (SITE, 50_003)] {
        quic.migrate(&client, udp(&world.internet, address, port));
        assert_eq!(quic.ask(&connection), (address, port).into());
    }

    // Counter-example: the same at an unused port.
    let _scanner = quic.knock(udp(&world.internet, SCANNER, 443), (HOST, 4_434));
    sensor.wait_for("probe", 2);
    sensor.stop();
    let stored = Stored::read(state.path());
    let first = (POOL, HOST, UDP_PROBE, 4_433);
    assert_eq!(stored.probes, [first, (SCANNER, HOST, UDP_PROBE, 4_434)].into());
    assert_eq!((stored.answers, stored.contacts), ([first].into(), [].into()), "home only answers");
}
