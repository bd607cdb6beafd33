//! `tattler packets`: prints the parser's result for each IPv6 packet of a capture.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use sensor_common::Kind;
use tattler_files::capture::trace::Traced;
use tattler_files::capture::{CapturedFrame, Packets};
use tattler_files::{Input, ReadError};

use super::complain;

/// Print a JSON object for each IPv6 packet of captures.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler packets capture.pcapng | jq .kind")]
pub(super) struct Arguments {
    /// pcap or pcapng, plain, gzip or zstd; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut status = ExitCode::SUCCESS;
    for file in &arguments.files {
        let name = if file == "-" { "-".into() } else { file.to_string_lossy() };
        // Flush the output before an error, so that they keep their order on a terminal.
        if let Err(error) = packets(&Input::from_argument(file), &serde_json::to_string(&name)?, &mut out, &mut status)?
        {
            out.flush()?;
            complain(error);
            status = ExitCode::FAILURE;
        }
    }
    out.flush()?;
    Ok(status)
}

/// Prints the packets of one input. The inner error is an error of the input, the outer an error of the output.
fn packets(
    input: &Input,
    name: &str,
    out: &mut impl Write,
    status: &mut ExitCode,
) -> io::Result<Result<(), ReadError>> {
    let mut packets = match input.open().and_then(|content| Packets::new(&input.to_string(), content)) {
        Ok(packets) => packets,
        Err(error) => return Ok(Err(error)),
    };
    let mut tell = |fault| {
        complain(fault);
        *status = ExitCode::FAILURE;
    };
    while let Some((frame, traced)) = packets.next(&mut tell) {
        if traced.is_ipv6() {
            print(out, name, &frame, &traced)?;
        }
    }
    Ok(Ok(()))
}

/// Prints one packet; `name` is already encoded as JSON.
fn print(out: &mut impl Write, name: &str, frame: &CapturedFrame<'_>, traced: &Traced) -> io::Result<()> {
    let trace = &traced.trace;
    write!(out, r#"{{"file":{name},"frame":{},"link":"{}","#, frame.number, trace.link())?;
    match trace.header {
        Some(header) => write!(out, r#""src":"{}","dst":"{}","#, header.src, header.dst)?,
        None => write!(out, r#""src":null,"dst":null,"#)?,
    }
    let parsed = traced.parsed.as_ref().ok();
    match parsed.and_then(|header| Some((header, header.signal.kind()?))) {
        Some((_, Kind::Echo)) => write!(out, r#""kind":"echo","port":null,"#)?,
        Some((header, kind)) => write!(out, r#""kind":"{}","port":{},"#, kind.as_str(), header.tuple.dst_port)?,
        None => write!(out, r#""kind":null,"port":null,"#)?,
    }
    match trace.header {
        Some(header) => write!(out, r#""hop_limit":{},"ext":["#, header.hop_limit)?,
        None => write!(out, r#""hop_limit":null,"ext":["#)?,
    }
    for (index, number) in trace.extensions().iter().enumerate() {
        write!(out, "{}{number}", if index > 0 { "," } else { "" })?;
    }
    match traced.parsed {
        Ok(_) => writeln!(out, r#"],"gave_up":null}}"#),
        Err(reason) => writeln!(out, r#"],"gave_up":"{}"}}"#, reason.as_str()),
    }
}
