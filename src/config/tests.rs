//! The configuration put together from sources that are plain values.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::signal::Signal;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Environment::new(variables, "host".to_owned())
}

fn no_file(_: &Path) -> io::Result<String> {
    Err(io::ErrorKind::NotFound.into())
}

fn load(flags: &[Flag], variables: &[(&str, &str)]) -> Result<Config, Mistake> {
    Config::load(flags, &environment(variables), &no_file)
}

fn load_sidecar(flags: &[Flag], variables: &[(&str, &str)]) -> Result<Config, Mistake> {
    Config::load_for(Role::Sidecar, flags, &environment(variables), &no_file)
}

fn mistake(flags: &[Flag], variables: &[(&str, &str)]) -> String {
    load(flags, variables).unwrap_err().to_string()
}

#[test]
fn with_nothing_set_everything_has_its_default() {
    let config = load(&[], &[]).unwrap();
    assert_eq!(config.terms.grace, Duration::from_secs(30));
    assert_eq!(config.listen, Listen::Everywhere(9321));
    assert_eq!(config.app, App::default());
    assert!(config.rows.iter().all(|row| row.from == "default"));
}

#[test]
fn every_setting_has_a_row_but_the_file_itself() {
    let mut shown: Vec<_> = load(&[], &[]).unwrap().rows.iter().map(|row| row.key).collect();
    let mut known: Vec<_> = setting::SETTINGS.iter().map(|setting| setting.key).collect();
    // Checks have rows of their own.
    known.retain(|key| !["config", "check"].contains(key));
    shown.sort_unstable();
    known.sort_unstable();
    assert_eq!(shown, known);
}

#[test]
fn a_flag_is_over_a_variable_is_over_the_file() {
    let read = |_: &Path| Ok("grace = 1\nlinger = 1\ndrain_delay = \"500ms\"\n".to_owned());
    let env = environment(&[("STEAD_GRACE", "2s"), ("STEAD_LINGER", "2s")]);
    let config = Config::load(&[("grace", "3s".to_owned())], &env, &read).unwrap();
    let from = |key| {
        config
            .rows
            .iter()
            .find(|row| row.key == key)
            .map(|row| (row.value.as_str(), row.from.as_str()))
    };
    assert_eq!(from("grace"), Some(("3s", "--grace")));
    assert_eq!(from("linger"), Some(("2s", "STEAD_LINGER")));
    assert_eq!(from("drain_delay"), Some(("500ms", "/etc/stead.toml:3: drain_delay")));
}

#[test]
fn the_apps_port_is_found_in_its_environment_unless_stead_is_told_otherwise() {
    let port = |variables: &[(&str, &str)]| load(&[], variables).unwrap().app.port;
    assert_eq!(port(&[("PORT", "8080")]), Some(8080));
    assert_eq!(port(&[("PORT", "8080"), ("STEAD_APP_PORT", "81")]), Some(81));
    assert_eq!(port(&[("PORT", "8080"), ("STEAD_APP_PORT", "off")]), None);
    assert_eq!(port(&[("PORT", "8080"), ("STEAD_DISCOVER", "off")]), None);
}

#[test]
fn a_port_that_is_none_is_ignored_and_said() {
    let config = load(&[], &[("PORT", "s3cret")]).unwrap();
    assert_eq!(config.app.port, None);
    assert_eq!(config.ignored.len(), 1);
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn mistakes_name_the_place_and_never_the_value() {
    for (flags, variables, start) in [
        (vec![("grace", "s3cret".to_owned())], vec![], "--grace: not a duration"),
        (vec![], vec![("STEAD_GRACE", "s3cret")], "STEAD_GRACE: not a duration"),
        (
            vec![],
            vec![("STEAD_GRCE", "s3cret")],
            "STEAD_GRCE: no such variable; did you mean STEAD_GRACE?",
        ),
        (
            vec![],
            vec![("STEAD_DRAIN_DELAY", "30s")],
            "STEAD_DRAIN_DELAY: not shorter than the grace",
        ),
        (vec![("app_live", "on".to_owned())], vec![], "--app-live: there is no check of the app"),
        (vec![], vec![("PORT", "9321")], "STEAD_LISTEN: 9321 is the app's own port"),
        (vec![], vec![("STEAD_REWRITE", "HUP:0, s3cret")], "STEAD_REWRITE: not FROM:TO"),
        (
            vec![],
            vec![("STEAD_CONFIG", "/nowhere")],
            "/nowhere: cannot read the configuration file",
        ),
    ] {
        let said = mistake(&flags, &variables);
        assert!(said.starts_with(start) && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn what_kubernetes_injects_for_a_service_of_that_name_is_passed_over() {
    let injected = [
        ("STEAD_SERVICE_HOST", "10.0.0.1"),
        ("STEAD_SERVICE_PORT", "80"),
        ("STEAD_SERVICE_PORT_HTTP", "80"),
        ("STEAD_PORT", "tcp://10.0.0.1:80"),
        ("STEAD_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("STEAD_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("STEAD_APP_PORT", "tcp://10.0.0.1:80"),
        ("STEAD_APP_SERVICE_PORT_METRICS", "80"),
    ];
    assert_eq!(load(&[], &injected).unwrap().app.port, None);
}

#[test]
fn an_empty_variable_is_not_set() {
    assert_eq!(load(&[], &[("STEAD_GRACE", "")]).unwrap().terms.grace, Duration::from_secs(30));
}

#[test]
fn the_apps_log_level_is_taken_where_it_is_one() {
    let level = |variables: &[(&str, &str)]| load(&[], variables).unwrap().events.level;
    assert_eq!(level(&[("LOG_LEVEL", "WARNING")]), LevelFilter::WARN);
    assert_eq!(level(&[("LOG_LEVEL", "silly")]), LevelFilter::INFO);
    assert_eq!(level(&[("LOG_LEVEL", "debug"), ("STEAD_LOG_LEVEL", "error")]), LevelFilter::ERROR);
}

#[test]
fn lists_may_be_repeated_flags_or_one_variable() {
    let quit = Signal::from_number(libc::SIGQUIT);
    let flags = [("rewrite", "TERM:QUIT".to_owned()), ("rewrite", "HUP:0".to_owned())];
    let expected = vec![(Signal::TERM, quit), (Signal::HUP, None)];
    assert_eq!(load(&flags, &[]).unwrap().terms.rewrites, expected);
    assert_eq!(
        load(&[], &[("STEAD_REWRITE", "TERM:QUIT,HUP:0")]).unwrap().terms.rewrites,
        expected
    );
}

#[test]
fn labels_come_from_the_environment() {
    let labels = load(&[], &[("SERVICE_NAME", "api"), ("NODE_ENV", "production")]).unwrap().labels;
    assert_eq!(labels.service.as_deref(), Some("api"));
    assert_eq!(labels.instance, "host");
    assert_eq!(labels.environment.as_deref(), Some("production"));
}

#[test]
fn a_check_is_added_by_a_variable_and_named_after_it() {
    let checks = load(&[], &[("STEAD_CHECK_MY_PORT", "tcp://db:5432?stead_interval=1s")]);
    let checks = checks.unwrap().checks;
    assert_eq!(checks[0].name, "my-port");
    assert_eq!(checks[0].schedule.interval, Duration::from_secs(1));
    assert_eq!(
        mistake(&[], &[("STEAD_CHECK_DB", "tcp://db:5432?stead_intreval=s3cret")]),
        "STEAD_CHECK_DB: stead_intreval: no such option of this kind of check"
    );
    let unknown = mistake(&[], &[("STEAD_CHECK_DB", "s3cret://db")]);
    assert!(
        unknown
            .starts_with("STEAD_CHECK_DB: a scheme that stead does not know (it knows postgres,"),
        "{unknown}"
    );
}

#[test]
fn a_sidecar_passes_over_what_is_of_run_and_says_so_once() {
    let shared = [("STEAD_STOP_SIGNAL", "nonsense"), ("STEAD_LOGS", "json"), ("STEAD_GRACE", "9s")];
    let config = load_sidecar(&[], &shared).unwrap();
    assert_eq!(config.terms.grace, Duration::from_secs(9));
    assert_eq!((config.terms.stop_signal, config.output.logs), (None, Logs::Raw));
    let [(places, reason)] = &config.ignored[..] else { panic!("{:?}", config.ignored) };
    assert_eq!(places, "STEAD_LOGS, STEAD_STOP_SIGNAL");
    assert!(reason.starts_with("of `stead run` alone"), "{reason}");
    assert!(config.rows.iter().all(|row| Role::Sidecar.takes(row.key)));
}

#[test]
fn on_a_sidecars_own_command_line_what_is_of_run_is_a_mistake() {
    for setting in setting::SETTINGS {
        let flags = [(setting.key, "on".to_owned())];
        let said = load_sidecar(&flags, &[]).err().map(|mistake| mistake.to_string());
        let is_refused = said.is_some_and(|said| said.contains(": an option of `stead run`"));
        assert_eq!(is_refused, !Role::Sidecar.takes(setting.key), "{}", setting.key);
    }
}

#[test]
fn in_a_sidecar_start_up_waits_for_the_required_dependencies_and_never_for_the_app() {
    let variables = [
        ("PORT", "8080"),
        ("STEAD_CHECK_APP_WORKER", "file:///tmp/beat?stead_group=startup,ready"),
        ("REDIS_URL", "redis://cache"),
        ("STEAD_CHECK_SEARCH", "tcp://search:7700?stead_required=off"),
        ("STEAD_CHECK_AUDIT", "tcp://audit:1?stead_group=ready"),
        ("STEAD_APP_LIVE", "on"),
    ];
    let groups = |config: Config| -> Vec<(String, bool, bool)> {
        let checks = config.app_checks.into_iter().chain(config.checks);
        checks.map(|check| (check.name, check.groups.startup, check.groups.live)).collect()
    };
    let named = |list: [(&str, bool, bool); 5]| -> Vec<(String, bool, bool)> {
        list.into_iter().map(|(name, startup, live)| (name.to_owned(), startup, live)).collect()
    };
    let expected = [
        ("app", false, true),
        ("app-worker", false, false),
        ("redis", true, false),
        ("audit", false, false),
        ("search", false, false),
    ];
    assert_eq!(groups(load_sidecar(&[], &variables).unwrap()), named(expected));
    let expected = [
        ("app", true, true),
        ("app-worker", true, false),
        ("redis", false, false),
        ("audit", false, false),
        ("search", false, false),
    ];
    assert_eq!(groups(load(&[], &variables).unwrap()), named(expected));
}

#[test]
fn a_sidecar_on_its_apps_own_port_is_told_of_that_port() {
    let said = load_sidecar(&[], &[("PORT", "9321")]).unwrap_err().to_string();
    assert!(said.starts_with("STEAD_LISTEN: 9321 is the app's own port"), "{said}");
}
