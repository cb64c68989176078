//! `--app-pid-of`: the app's process, watched by its name.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use super::{reaches, sidecar};
use crate::app::{App, Serve};
use crate::harness::{LIMIT, Place, Scratch, Stead, until};

#[test]
fn the_apps_process_is_watched_by_its_name_beside_its_port() {
    let scratch = Scratch::new();
    // Longer than what the kernel keeps of a name.
    let name = format!("worker-{}-and-more", std::process::id());
    let program = scratch.path().join(&name);
    std::fs::copy("/bin/sleep", &program).expect("a copy of sleep");
    let by_its_file = || Command::new(&program).arg("1000").spawn().expect("the app");
    // As node, whose main thread is named otherwise.
    let first = format!("/usr/bin/{name}");
    let by_its_first_argument =
        || Command::new("sleep").arg0(&first).arg("1000").spawn().expect("the app");
    let app = App::new();
    let options = ["--app-pid-of", &name, "--check", "app-process=?stead_interval=100ms"];
    let stead = sidecar(options).env("PORT", app.port().to_string()).serve();
    let process = || stead.get("/readyz").json()["checks"]["app-process"].clone();
    let failed = until(LIMIT, || process()["class"] == "process_not_found");
    assert!(failed, "{}", process());
    assert_eq!(process()["stage"], "state");

    let mut processes = [by_its_first_argument(), by_its_file()];
    reaches(&stead, "/readyz", 200);
    let counted = until(LIMIT, || process()["detail"]["processes"] == 2);
    assert!(counted, "{}", process());
    end(&mut processes[0]);
    assert!(until(LIMIT, || process()["detail"]["processes"] == 1), "{}", process());
    assert_eq!(stead.status("/readyz"), 200, "one of them lives");
    processes[1].kill().expect("kill");
    assert!(until(LIMIT, || process()["class"] == "process_ended"), "{}", process());
    reaches(&stead, "/readyz", 503);
    end(&mut processes[1]);
    assert!(until(LIMIT, || process()["class"] == "process_not_found"), "{}", process());
    assert_eq!(stead.status("/livez"), 200);
}

fn end(process: &mut Child) {
    process.kill().expect("kill");
    process.wait().expect("wait");
}

#[test]
fn stead_does_not_take_itself_for_the_app() {
    let stead = sidecar(["--app-pid-of", "stead"]).place(Place::Pid1).serve();
    let process = || stead.get("/readyz").json()["checks"]["app-process"]["class"].clone();
    assert!(until(LIMIT, || process() == "process_not_found"), "{:?}", stead.get("/readyz"));
}

#[test]
fn run_watches_a_process_of_that_name_too() {
    let stead = Stead::script("sleep 1000 & wait").options(["--app-pid-of", "sleep"]);
    let stead = stead.place(Place::Pid1).serve();
    reaches(&stead, "/readyz", 200);
    assert_eq!(stead.status("/startupz"), 200);
}
