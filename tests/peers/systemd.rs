//! The unit as it is shipped, in a booted systemd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use cloud::SystemClock;
use ecs_emulator::{Emulator, World};

use crate::support::{Process, free_port, get, peers_dir, signal, until};

const INSTALL: &str = "apt-get install -y systemd-container debootstrap";
const UNIT: &str = "fleetscaler.service";

/// A booted Debian that has the daemon installed.
struct Machine {
    root: PathBuf,
    init: u32,
    _nspawn: Process,
}

impl Machine {
    async fn boot(config: &str) -> Machine {
        let root = root();
        install(&root, config);
        let mut command = Command::new("systemd-nspawn");
        command.arg("-D").arg(&root).args([
            "--boot",
            "--register=no",
            "--keep-unit",
            "--console=pipe",
        ]);
        command.arg("--link-journal=no");
        let nspawn = Process::start(command, &peers_dir().join("nspawn.log"), INSTALL);
        let children = format!("/proc/{0}/task/{0}/children", nspawn.id());
        let init = until("an init process", 30, async || {
            fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
        })
        .await;
        let machine = Machine { root, init, _nspawn: nspawn };
        until("a booted systemd", 60, async || {
            let state = machine.run(&["systemctl", "is-system-running"]);
            let state = text(&state);
            matches!(state.trim(), "running" | "degraded").then_some(())
        })
        .await;
        machine
    }

    /// Runs a command in the machine.
    fn run(&self, command: &[&str]) -> Output {
        let pid = self.init.to_string();
        let enter = Command::new("nsenter").args(["-t", &pid, "-a"]).args(command).output();
        enter.expect("nsenter runs")
    }

    /// Runs a command that must succeed; returns what it printed.
    fn must(&self, command: &[&str]) -> String {
        let output = self.run(command);
        let both = format!("{}{}", text(&output), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{command:?}: {both}\n{}", self.log());
        text(&output)
    }

    fn property(&self, name: &str) -> String {
        let shown = self.must(&["systemctl", "show", UNIT, "--property", name, "--value"]);
        shown.trim().to_owned()
    }

    fn log(&self) -> String {
        text(&self.run(&["journalctl", "--no-pager", "-u", UNIT, "-o", "cat"]))
    }

    fn configure(&self, config: &str) {
        write(&self.root.join("etc/fleetscaler/config.toml"), config, 0o644);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The end of its init is the end of every process in the machine; killing systemd-nspawn
        // alone would leave them behind.
        signal("KILL", self.init);
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A minimal Debian of this host's release, made once and kept.
fn root() -> PathBuf {
    let root = peers_dir().join("rootfs");
    let made = peers_dir().join("rootfs.made");
    if made.exists() {
        return root;
    }
    drop(fs::remove_dir_all(&root));
    let release = fs::read_to_string("/etc/os-release").expect("an os-release");
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let status = Command::new("debootstrap")
        .args(["--variant=minbase", "--include=systemd,systemd-sysv,dbus"])
        .arg(codename.expect("a codename"))
        .arg(&root)
        .status()
        .unwrap_or_else(|error| {
            panic!("debootstrap does not start ({error}); install it: {INSTALL}")
        });
    assert!(status.success(), "debootstrap failed");
    fs::write(&made, "").expect("a mark");
    root
}

/// The binary, the unit as shipped, a drop-in with credentials, a configuration; no state.
fn install(root: &Path, config: &str) {
    for gone in
        ["var/lib/private/fleetscaler", "var/lib/fleetscaler", "var/log/journal", "etc/fleetscaler"]
    {
        let path = root.join(gone);
        drop(fs::remove_dir_all(&path));
        drop(fs::remove_file(&path));
    }
    let binary = fs::read(env!("CARGO_BIN_EXE_fleetscaler")).expect("the binary");
    write(&root.join("usr/bin/fleetscaler"), binary, 0o755);
    let unit = include_str!("../../packaging/systemd/fleetscaler.service");
    write(&root.join("etc/systemd/system").join(UNIT), unit, 0o644);
    let credentials = "[Service]\n\
        LoadCredential=access_key_id:/etc/credstore/fleetscaler/access_key_id\n\
        LoadCredential=access_key_secret:/etc/credstore/fleetscaler/access_key_secret\n";
    write(
        &root.join("etc/systemd/system/fleetscaler.service.d/credentials.conf"),
        credentials,
        0o644,
    );
    let port = port(config);
    let dropin =
        format!("[Service]\nRestartSec=200ms\nSocketBindAllow=\nSocketBindAllow=tcp:{port}\n");
    write(&root.join("etc/systemd/system/fleetscaler.service.d/test.conf"), dropin, 0o644);
    write(&root.join("etc/credstore/fleetscaler/access_key_id"), "testid\n", 0o600);
    write(&root.join("etc/credstore/fleetscaler/access_key_secret"), "testsecret\n", 0o600);
    write(&root.join("etc/fleetscaler/config.toml"), config, 0o644);
}

/// The port of `listen`.
fn port(config: &str) -> String {
    let line = config.lines().find_map(|line| line.strip_prefix("listen = \"127.0.0.1:"));
    line.expect("it listens").trim_end_matches('"').to_owned()
}

fn config(cloud: &str, listen: &str) -> String {
    format!(
        r#"
[daemon]
interval = "1s"
listen = "{listen}"
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"
[fleet.web]
provider = "aliyun"
min = 2
max = 4
max_removal_percent = 100
[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.web.signal.cpu]
source = "prometheus"
url = "http://127.0.0.1:9"
query = "avg(cpu)"
[[fleet.web.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75 }}
scale_in = {{ below = 30 }}
"#
    )
}

/// The acts that the running service may not do, asked from within its own mounts and limits.
fn confined(machine: &Machine, pid: &str) {
    let limits = machine.must(&["cat", &format!("/proc/{pid}/limits")]);
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max core file size")[..2], ["0", "0"]);
    // Raised to the hard limit by the daemon itself.
    assert_eq!(limit("Max open files")[..2], ["8192", "8192"]);
    for (property, value) in [
        ("MemorySwapMax", "0"),
        ("MemoryHigh", "805306368"),
        ("PrivateIPC", "yes"),
        ("NoNewPrivileges", "yes"),
        ("SocketBindDeny", "any"),
    ] {
        assert_eq!(machine.property(property), value, "{property}");
    }
    let filter = machine.property("SystemCallFilter");
    for call in ["keyctl", "mlock", "pkey_alloc", "setuid"] {
        assert!(!filter.split_whitespace().any(|allowed| allowed == call), "{call}");
    }
    let denied = machine.property("IPAddressDeny");
    assert!(denied.contains("169.254.0.0/16") && denied.contains("224.0.0.0/4"), "{denied}");
    // No other program: its mounts are entered, and a shell is not to be had.
    let shell = machine.run(&["nsenter", "-t", pid, "-m", "/bin/sh", "-c", "true"]);
    assert!(!shell.status.success(), "a shell runs in there");
    let said = String::from_utf8_lossy(&shell.stderr).into_owned();
    assert!(said.contains("Permission denied"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_unit_lives_in_a_booted_systemd() {
    let _processors = crate::support::processors_shared().await;
    let world = World::default();
    let emulator = Emulator::on_loopback(world, Arc::new(SystemClock)).await.expect("up");
    // The machine has the network of its host.
    let listen = format!("127.0.0.1:{}", free_port());
    let config = config(&emulator.url(), &listen);
    let machine = Machine::boot(&config).await;

    // Readiness: `start` returns when the daemon has said so.
    machine.must(&["systemctl", "start", UNIT]);
    assert_eq!(machine.property("ActiveState"), "active");
    assert_eq!(machine.property("WatchdogUSec"), "1min");
    until("two instances", 60, async || (emulator.instances().len() == 2).then_some(())).await;
    until("its status", 30, async || {
        (machine.property("StatusText") == "acts for 1 of 1 fleet, 1 replica").then_some(())
    })
    .await;
    // The sandbox lets it listen.
    let metrics = get(&format!("http://{listen}/metrics")).await.expect("metrics");
    assert!(metrics.contains("fleetscaler_held{fleet=\"web\"} 1"), "{metrics}");
    assert!(!metrics.contains("code=\"descriptors\""), "{metrics}");

    // The key pair came from LoadCredential: there is none in the environment, and the emulator
    // has verified the signatures.
    let pid = machine.property("MainPID");
    let environment = machine.must(&["cat", &format!("/proc/{pid}/environ")]);
    assert!(environment.contains("CREDENTIALS_DIRECTORY=") && !environment.contains("testsecret"));

    // A user of its own, and its state readable by it alone.
    let owner =
        |path: &str, what: &str| machine.must(&["stat", "-c", what, path]).trim().to_owned();
    let status = machine.must(&["cat", &format!("/proc/{pid}/status")]);
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("a user");
    let user = user.split_whitespace().next().expect("an id").to_owned();
    assert_ne!(user, "0");
    // Nobody but root looks into it: it is not dumpable.
    assert_eq!(owner(&format!("/proc/{pid}/environ"), "%u"), "0");
    let state = owner("/var/lib/private/fleetscaler/state.db", "%u %a");
    assert_eq!(state, format!("{user} 600"));

    confined(&machine, &pid);

    // The journal has its messages, with fields to ask for.
    let by_field = machine.must(&["journalctl", "--no-pager", "-o", "cat", "F_FLEET_ID=web"]);
    assert!(by_field.contains("fleet `web` 0 → 2"), "{by_field}\n{}", machine.log());
    assert!(!machine.log().contains("testsecret"));

    // A changed configuration is taken without a restart; a bad one fails the reload, not the daemon.
    machine.configure(&config.replace("max = 4", "max = 5"));
    machine.must(&["systemctl", "reload", UNIT]);
    assert!(machine.log().contains("max 4 → 5"), "{}", machine.log());
    machine.configure(&config.replace("min = 2", "min = 9"));
    assert!(!machine.run(&["systemctl", "reload", UNIT]).status.success());
    assert!(machine.log().contains("min = 9 above max = 4"), "{}", machine.log());
    assert_eq!(
        (machine.property("ActiveState"), machine.property("MainPID")),
        ("active".to_owned(), pid.clone())
    );
    machine.configure(&config);
    machine.must(&["systemctl", "reload", UNIT]);

    // kill -9: a new process, ready again, on the same state; nothing is bought again.
    machine.must(&["systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT]);
    until("a new process", 60, async || {
        let active = machine.property("ActiveState") == "active";
        (active && machine.property("MainPID") != pid).then_some(())
    })
    .await;
    let ticks = emulator.transcript().len();
    until("more ticks", 30, async || (emulator.transcript().len() > ticks + 4).then_some(())).await;
    assert_eq!(emulator.instances().len(), 2);

    // A clean stop.
    machine.must(&["systemctl", "stop", UNIT]);
    assert_eq!(machine.property("Result"), "success");
    assert_eq!(machine.property("ExecMainStatus"), "0");
    assert!(machine.log().contains("stopping: no new ticks"), "{}", machine.log());

    // Starts go on for as long as something else has the port, and the fleet is looked after again
    // when it has not.
    let taken = std::net::TcpListener::bind(&listen).expect("it is free now");
    machine.must(&["systemctl", "start", "--no-block", UNIT]);
    until("more than five starts", 60, async || {
        (machine.property("NRestarts").parse().unwrap_or(0) > 7).then_some(())
    })
    .await;
    assert!(machine.log().contains("Address already in use"), "{}", machine.log());
    drop(taken);
    until("a start", 60, async || (machine.property("ActiveState") == "active").then_some(()))
        .await;
    machine.must(&["systemctl", "stop", UNIT]);

    // A bad configuration is refused with its problems, and not tried again.
    machine.configure(&config.replace("min = 2", "min = 9"));
    assert!(!machine.run(&["systemctl", "start", UNIT]).status.success());
    assert_eq!(machine.property("ActiveState"), "failed");
    assert_eq!(machine.property("NRestarts"), "0");
    assert!(machine.log().contains("min = 9 above max = 4"), "{}", machine.log());
}
