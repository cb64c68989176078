//! Command lines, and what is said of mistaken ones.

use super::*;

fn parsed(args: &[&str]) -> Result<Request, String> {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    parse(&args).map_err(|mistake| mistake.to_string())
}

fn run(flags: &[Flag], command: &[&str]) -> Result<Request, String> {
    Ok(Request::Run(flags.to_vec(), command.iter().map(OsString::from).collect()))
}

#[test]
fn options_end_at_the_command_which_keeps_its_own() {
    assert_eq!(parsed(&["run", "--", "app", "-x", "--grace"]), run(&[], &["app", "-x", "--grace"]));
    assert_eq!(parsed(&["run", "app", "--", "-h"]), run(&[], &["app", "--", "-h"]));
    assert_eq!(parsed(&["run", "--", "--odd"]), run(&[], &["--odd"]));
    let flags = [("grace", "5s".to_owned()), ("signal_group", "on".to_owned())];
    assert_eq!(parsed(&["run", "--grace=5s", "--signal-group", "app"]), run(&flags, &["app"]));
}

#[test]
fn a_switch_can_be_switched_off() {
    assert_eq!(
        parsed(&["run", "--app-live=off", "app"]),
        run(&[("app_live", "off".to_owned())], &["app"])
    );
}

#[test]
fn a_drain_is_waited_for_unless_it_is_not_to_be() {
    let drain = |waits, quiet| Ok(Request::Drain { waits, quiet });
    assert_eq!(parsed(&["drain"]), drain(true, false));
    assert_eq!(parsed(&["drain", "-q", "--no-wait"]), drain(false, true));
    assert!(parsed(&["drain", "live"]).unwrap_err().contains("neither --no-wait nor -q"));
}

#[test]
fn mistakes_say_what_would_be_right() {
    for (args, part) in [
        (vec!["run", "--"], "ENTRYPOINT empties the base image's CMD"),
        (vec!["run", "--grcae", "5s", "app"], "--grcae: no such option; did you mean --grace?"),
        (vec!["run", "--listen", "80", "app"], "STEAD_LISTEN"),
        (vec!["run", "--grace"], "--grace: wants a value, DURATION"),
        (vec!["run", "-g", "app"], "-g: no such option"),
        (vec!["chekc"], "did you mean check?"),
        (vec!["check", "alive"], "not live, ready or startup"),
        (vec!["check", "live", "ready"], "more than one"),
        (vec!["check", "ready", "tcp://db:1"], "ask the running stead"),
        (vec!["check", "--all", "tcp://db:1"], "either URLs or --all"),
        (vec!["wait", "db"], "a command stands behind --"),
        (vec!["wait", "tcp://db:1", "--"], "no command behind --"),
        (vec!["wait", "--timeout"], "--timeout: not a duration"),
        (vec!["wait", "--timeout=soon"], "--timeout: not a duration"),
        (vec!["sidecar", "--", "app"], "sidecar: takes no command"),
        (vec!["sidecar", "app"], "sidecar: takes no command"),
        (vec!["sidecra"], "did you mean sidecar?"),
        (vec!["install"], "wants one path"),
        (vec!["install", "--mode"], "wants one path"),
        (vec![], "none was given"),
    ] {
        let said = parsed(&args).unwrap_err();
        assert!(said.contains(part), "{args:?}: {said}");
    }
}

#[test]
fn check_means_live_unless_it_is_told_otherwise() {
    assert_eq!(parsed(&["check"]), Ok(Request::Check { group: Group::Live, quiet: false }));
    assert_eq!(
        parsed(&["check", "ready", "-q"]),
        Ok(Request::Check { group: Group::Ready, quiet: true })
    );
}

#[test]
fn a_wait_ends_its_options_at_the_dashes() {
    let wait = |urls: &[&str], patience, command: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(OsString::from).collect();
        Ok(Request::Wait { urls: texts(urls), patience, command: texts(command) })
    };
    let seconds = |n| Patience::For(std::time::Duration::from_secs(n));
    assert_eq!(parsed(&["wait"]), wait(&[], seconds(60), &[]));
    assert_eq!(
        parsed(&["wait", "tcp://a:1", "--timeout", "5", "tcp://b:1", "--", "app", "--", "a:b"]),
        wait(&["tcp://a:1", "tcp://b:1"], seconds(5), &["app", "--", "a:b"])
    );
    assert_eq!(parsed(&["wait", "--timeout=0"]), wait(&[], Patience::Endless, &[]));
}

#[test]
fn the_time_of_wait_may_follow_it_or_be_left_out() {
    let with = |text: &str, command: &[&str]| run(&[("wait", text.to_owned())], command);
    assert_eq!(parsed(&["run", "--wait", "--", "60s"]), with("on", &["60s"]));
    assert_eq!(parsed(&["run", "--wait", "app", "60s"]), with("on", &["app", "60s"]));
    assert_eq!(parsed(&["run", "--wait", "2m", "--", "app"]), with("2m", &["app"]));
    assert_eq!(parsed(&["run", "--wait=5s", "app"]), with("5s", &["app"]));
    assert_eq!(parsed(&["run", "--wait", "forever", "app"]), with("forever", &["app"]));
}

#[test]
fn the_help_names_every_setting() {
    let help = usage();
    for setting in SETTINGS {
        assert!(help.contains(&setting.flag_name()) || help.contains(&setting.variable()));
    }
}
