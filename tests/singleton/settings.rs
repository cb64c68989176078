//! What is understood of the settings, and which of them are mistakes.

use crate::harness::{Scratch, stead};

fn config(args: &[&str], service: bool) -> (i32, String, String) {
    let mut command = stead([&["config"], args].concat());
    if service {
        command.env("SERVICE_NAME", "cron");
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn each_mistake_is_one_line_that_tells_no_secret() {
    let url = "postgres://cron:s3cret@db/shop";
    let cases: &[(&[&str], bool, &str)] = &[
        (&["--singleton", url], false, "--singleton: needs SERVICE_NAME"),
        (
            &["--singleton", "mysql://db"],
            true,
            "--singleton: a lock is held at a Postgres or a Redis",
        ),
        (&["--singleton", "on"], true, "--singleton: on, and neither DIRECT_URL nor DATABASE_URL"),
        (
            &["--singleton", "postgres://u:s3cret@db?stead_slow=1s"],
            true,
            "no such option of a lock",
        ),
        (&["--singleton", url, "--singleton-grace", "100ms"], true, "--singleton-grace: not from"),
        (&["--lock", url], true, "--lock: there is no pre_start hook"),
        (&["--lock", "redis://:s3cret@one,two", "--pre-start", "true"], true, "more than one host"),
    ];
    for (args, service, wrong) in cases {
        let (code, _, said) = config(args, *service);
        assert_eq!(code, 64, "{args:?}: {said}");
        assert!(said.contains(wrong) && said.lines().count() == 1, "{args:?}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn the_settings_are_shown_without_their_secrets() {
    let args = ["--singleton", "postgres://cron:s3cret@db/shop", "--singleton-grace", "10s"];
    let (code, shown, _) = config(&args, true);
    assert_eq!(code, 0);
    assert!(shown.contains("postgres://cron:***@db/shop") && shown.contains("10s"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn the_lock_of_hooks_may_stand_in_their_table() {
    let scratch = Scratch::new();
    let text = "[hook.pre_start]\ncommand = \"true\"\nlock = \"postgres://cron:s3cret@db/shop\"\n";
    let file = scratch.file("stead.toml", text, 0o644);
    let (code, shown, said) = config(&["--config", file.to_str().unwrap()], true);
    assert_eq!(code, 0, "{said}");
    let row = shown.lines().find(|line| line.starts_with("lock ")).expect("a row");
    assert!(row.contains("postgres://cron:***@db/shop") && row.contains(":3: "), "{row}");
}

#[test]
fn a_stead_that_a_holder_starts_takes_no_offence_at_its_fence() {
    let output = stead(["config"]).env("STEAD_FENCE", "7").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
