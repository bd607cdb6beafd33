//! Writes a log in one of the dialects to standard output, to measure the speed of reading:
//!
//! ```text
//! cargo run --release --example loglines -- kernel 10000000 | tattler analyze --home 2001:db8:1::/48 -
//! ```
//!
//! The same arguments make the same log. Two more arguments set the beginning of the log, in seconds since 1970, and
//! its length in days: an import leaves out lines older than the retention.

use std::io::{self, BufWriter, Write};
use std::net::Ipv6Addr;

use jiff::Timestamp;

const START: u64 = 1_767_225_600; // 2026-01-01T00:00:00Z
const DAYS: u64 = 300;
/// The most lines.
const MOST: u64 = 100_000_000;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dialect = arguments.next().unwrap_or_default();
    let mut number = |otherwise| arguments.next().and_then(|number| number.parse().ok()).unwrap_or(otherwise);
    let (count, start, days): (u64, u64, u64) = (number(1_000_000).min(MOST), number(START), number(DAYS));
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match dialect.as_str() {
        "zeek" => writeln!(
            out,
            "#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents"
        )?,
        "nfdump" => writeln!(out, "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt")?,
        "kernel" | "kernel-iso" | "zeek-json" | "eve" | "conntrack" => {}
        _ => {
            return Err(io::Error::other(
                "give kernel, kernel-iso, zeek, zeek-json, eve, nfdump or conntrack, and a number",
            ));
        }
    }
    let mut state = 1;
    for n in 0..count {
        match line(&mut out, &dialect, start * 1_000_000, n * (days * 86_400 * 1_000_000 / count), &mut state) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            wrote => wrote?,
        }
    }
    out.flush()
}

/// A pseudorandom number (Steele, Lea, Flood 2014: SplitMix64).
fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % below
}

/// Writes a line. Eight devices use a new address each day, and each device visits 200 of 2,000 sites. A hundred
/// simultaneous sources, each with its own port, probe the addresses of the last week.
fn line(out: &mut impl Write, dialect: &str, start: u64, after: u64, state: &mut u64) -> io::Result<()> {
    let day = after / 86_400_000_000;
    let inward = random(state, 2) == 0;
    let device = random(state, 8);
    let age = if inward { random(state, 7).min(day) } else { 0 };
    let identifier = random(&mut (device << 32 | (day - age)), u64::MAX);
    let local = Ipv6Addr::from(0x2001_0db8_0001_0002_u128 << 64 | u128::from(identifier));
    let number = if inward { day / 10 * 100 + random(state, 100) } else { device * 200 + random(state, 200) };
    let first: u128 = if inward { 0x2a0d } else { 0x2a02 };
    let remote = Ipv6Addr::from((first << 112) + (u128::from(number) << 80) + 0x29);
    let sport = 32_768 + random(state, 28_000) as u16;
    let dport = [22, 23, 80, 443, 8_080][number as usize % 5];
    let (src, dst) = if inward { (remote, local) } else { (local, remote) };

    let micros = start + after;
    let time = Timestamp::from_microsecond(micros as i64).unwrap_or_default();
    let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    // A probe has no answer.
    let (state, history, back) = if inward { ("S0", "S", 0) } else { ("SF", "ShADadFf", 9) };
    match dialect {
        "kernel" | "kernel-iso" => {
            let format = if dialect == "kernel" { "%b %e %H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6fZ" };
            let (time, src, dst) = (time.strftime(format), full(src), full(dst));
            let (from, to) = if inward { ("wan0", "lan0") } else { ("lan0", "wan0") };
            writeln!(
                out,
                "{time} router kernel: [12345.678901] nft: IN={from} OUT={to} MAC=52:54:00:12:34:56:52:54:00:65:43:21:86:dd \
                 SRC={src} DST={dst} LEN=60 TC=0 HOPLIMIT=50 FLOWLBL=12345 PROTO=TCP SPT={sport} DPT={dport} WINDOW=64240 RES=0x00 SYN URGP=0 "
            )
        }
        "zeek" => writeln!(
            out,
            "{seconds}\tCX9aBc2dEf3gHi4jK\t{src}\t{sport}\t{dst}\t{dport}\ttcp\t-\t1.250000\t100\t200\t{state}\tT\tF\t0\t{history}\t10\t800\t{back}\t900\t-"
        ),
        "zeek-json" => writeln!(
            out,
            r#"{{"ts":{seconds},"uid":"CX9aBc2dEf3gHi4jK","id.orig_h":"{src}","id.orig_p":{sport},"id.resp_h":"{dst}","id.resp_p":{dport},"proto":"tcp","duration":1.25,"orig_bytes":100,"resp_bytes":200,"conn_state":"{state}","local_orig":true,"missed_bytes":0,"history":"{history}","orig_pkts":10,"resp_pkts":{back}}}"#
        ),
        "eve" => {
            let (time, flags) = (time.strftime("%Y-%m-%dT%H:%M:%S%.6f+0000"), if inward { "00" } else { "1b" });
            writeln!(
                out,
                r#"{{"timestamp":"{time}","flow_id":1234567890,"in_iface":"wan0","event_type":"flow","src_ip":"{src}","src_port":{sport},"dest_ip":"{dst}","dest_port":{dport},"proto":"TCP","flow":{{"pkts_toserver":10,"pkts_toclient":{back},"bytes_toserver":74,"bytes_toclient":0,"start":"{time}","end":"{time}","age":0,"state":"new","reason":"timeout","alerted":false}},"tcp":{{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"{flags}","syn":true,"state":"closed"}}}}"#
            )
        }
        "nfdump" => {
            let time = time.strftime("%Y-%m-%d %H:%M:%S");
            let flags = if inward { "......S." } else { "...AP.SF" };
            writeln!(out, "{time},{time},0.000,{src},{dst},{sport},{dport},TCP,{flags},0,0,1,60,0,0")
        }
        _ => writeln!(
            out,
            "[{seconds}]\t    [NEW] ipv6     10 tcp      6 120 SYN_SENT src={src} dst={dst} sport={sport} dport={dport} \
             [UNREPLIED] src={dst} dst={src} sport={dport} dport={sport}"
        ),
    }
}

/// An address in the form that the kernel logs.
fn full(address: Ipv6Addr) -> String {
    address.segments().map(|group| format!("{group:04x}")).join(":")
}
