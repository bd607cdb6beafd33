//! Users in the group `tattler` may query a running sensor, others may not. Runs as root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use tests::programs::{Bounded, succeed, tattler, tool};
use tests::sensor::Sensor;
use tests::traffic::{ping, visit};
use tests::world::{HOST, SCANNER, SITE, World};

/// The id of the group `tattler` where the sensor runs.
const GROUP: &str = "54321";
/// A user who owns nothing.
const NOBODY: &str = "65534";

/// `tattler run` with a group file of its own, in which the group exists.
fn command(world: &World, dir: &Path) -> Command {
    let groups = dir.join("group");
    let system = fs::read_to_string("/etc/group").expect("read /etc/group");
    let others = system.lines().filter(|line| !line.starts_with("tattler:")).map(|line| line.to_owned() + "\n");
    fs::write(&groups, others.collect::<String>() + &format!("tattler:x:{GROUP}:\n")).expect("write the groups");
    let mut run = tool("unshare");
    run.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/group && exec \"$@\""]).arg(&groups);
    run.arg(tattler()).args(["run", "--interface", "wan0", "--state"]).arg(dir.join("state"));
    run.arg("--socket").arg(dir.join("run/tattler.sock"));
    world.router.command(&run)
}

/// The output of a program that runs as a user with these groups, or its error.
fn as_user(groups: &str, program: &Path, arguments: &[&str], last: &Path) -> Result<String, String> {
    let mut command = tool("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, groups]).arg(program).args(arguments).arg(last);
    let output = command.finish().expect("run setpriv");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn members_of_the_group_may_query_but_read_no_file() {
    let world = World::new();
    let dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().expect("a directory");
    let (state, socket) = (dir.path().join("state"), dir.path().join("run/tattler.sock"));
    // A copy that others may run, wherever the build is.
    let program = dir.path().join("tattler");
    fs::copy(tattler(), &program).expect("copy the program");
    let sensor = Sensor::started(command(&world, dir.path()), &world.router, &state);
    visit(&world, SITE, 80);
    ping(&world.internet, SCANNER, HOST);

    let modes = |path: &Path| fs::metadata(path).map(|meta| (meta.mode() & 0o777, meta.gid().to_string()));
    assert_eq!(modes(&socket).unwrap(), (0o660, GROUP.to_owned()));
    assert_eq!(modes(socket.parent().unwrap()).unwrap(), (0o750, GROUP.to_owned()));
    let member = |arguments: &[&str]| as_user(&format!("--groups={GROUP}"), &program, arguments, &socket);
    let stranger = |arguments: &[&str]| as_user("--clear-groups", &program, arguments, &socket);
    let (site, scanner) = (SITE.to_string(), SCANNER.to_string());
    tests::eventually("the diary is written", || {
        let said = |what| member(&[what, "--socket"]).unwrap();
        (said("contacts").contains(&site) && said("probes").contains(&scanner)).then_some(())
    });
    for query in ["status", "suspects", "locals", "scanners"] {
        assert!(member(&[query, "--socket"]).is_ok_and(|said| !said.is_empty()), "{query}");
    }
    assert!(member(&["explain", &site, "--socket"]).unwrap().contains(&scanner));
    member(&["ack", &site, "--note", "ours", "--socket"]).unwrap();
    assert!(member(&["ack", "--list", "--socket"]).unwrap().contains("ours"));
    let refused = member(&["forget", &site, "--socket"]).unwrap_err();
    assert_eq!(refused, "tattler: only root and the user that the sensor runs as may ask it to forget\n");

    for arguments in [&["status", "--socket"][..], &["contacts", "--socket"], &["ack", &site, "--socket"]] {
        let refused = stranger(arguments).unwrap_err();
        assert!(refused.contains("ask as root or as a member of the group tattler"), "{refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }

    let groups = format!("--groups={GROUP}");
    let files = ["tattler.db", "tattler.db-wal", "tattler.lock"].map(|file| state.join(file));
    for file in &files {
        assert!(file.exists(), "{}", file.display());
        assert!(as_user(&groups, tool("cat").get_program().as_ref(), &[], file).is_err(), "{}", file.display());
    }
    for arguments in [&["contacts", "--state"][..], &["export", "--state"]] {
        let refused = as_user(&groups, &program, arguments, &state).unwrap_err();
        assert!(refused.contains("permission denied") && refused.lines().count() == 1, "{refused}");
    }
    // The files themselves are protected too.
    succeed(tool("chmod").arg("755").arg(&state));
    for file in &files {
        assert!(as_user(&groups, tool("cat").get_program().as_ref(), &[], file).is_err(), "{}", file.display());
    }
    sensor.stop();
}
