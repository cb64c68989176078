//! Whatever a URL may look like.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;
use stead::check::options::Options;
use stead::check::secret::{self, Secret};
use stead::check::url::{Host, Url};

fn parsed(text: &str) -> Result<Url, String> {
    Url::parse(text, &mut Options::default())
}

/// User, password, hosts and path of a URL.
fn parts(text: &str) -> (String, String, String, String) {
    let url = parsed(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
    let password = url.password.as_ref().map_or("", Secret::reveal).to_owned();
    let hosts: Vec<_> = url.hosts.iter().map(Host::to_string).collect();
    (url.user.unwrap_or_default(), password, hosts.join(","), url.path)
}

#[test]
fn the_parts_of_a_url_are_told_apart() {
    for (text, user, password, hosts, path) in [
        ("tcp://db:5432", "", "", "db:5432", ""),
        ("postgres://u:p@db/app?sslmode=require", "u", "p", "db", "/app"),
        ("jdbc:postgresql://db:5432/app?user=u", "", "", "db:5432", "/app"),
        ("postgresql+asyncpg://u:p%40%2f%23@db/app", "u", "p@/#", "db", "/app"),
        ("redis://:p@redis:6379/0", "", "p", "redis:6379", "/0"),
        ("redis://u@redis", "u", "", "redis", ""),
        ("redis://redis:6379?x=a@b", "", "", "redis:6379", ""),
        ("rediss://[::1]:6380/1", "", "", "[::1]:6380", "/1"),
        ("tcp://[fe80::1%25eth0]:80", "", "", "[fe80::1%eth0]:80", ""),
        ("postgres://h1:1,h2,[::1]:3/x", "", "", "h1:1,h2,[::1]:3", "/x"),
        ("postgres:///x?host=/run/postgresql", "", "", "", "/x"),
        ("postgres://u:p@/x", "u", "p", "", "/x"),
        ("postgres://%2Frun%2Fpostgresql/x", "", "", "/run/postgresql", "/x"),
        ("unix:///run/a@b.sock", "", "", "", "/run/a@b.sock"),
        ("amqp://u:p@mq:5672/%2F", "u", "p", "mq:5672", "/%2F"),
        ("http://h/@scope/x#y@z", "", "", "h", "/@scope/x"),
        ("http://u:p@h:80/a?b=c", "u", "p", "h:80", "/a"),
        ("postgres://db:/x", "", "", "db", "/x"),
        (" tcp://db:1\n", "", "", "db:1", ""),
        ("postgres://my_db.b\u{fc}cher.example/x", "", "", "my_db.b\u{fc}cher.example", "/x"),
    ] {
        let expected = (user.into(), password.into(), hosts.into(), path.into());
        assert_eq!(parts(text), expected, "{text}");
    }
}

#[test]
fn a_password_that_was_not_encoded_is_taken_where_a_host_stands_behind_it() {
    for password in [
        "p@ss",
        "p:ss",
        "p/ss",
        "p#ss",
        "p?ss",
        "p%ss",
        "p ss",
        "p\"ss",
        "p\\ss",
        "12/34",
        "12?34",
        "12#34",
        "a/b@c/d",
        "a@b/c",
        "a@b?c",
        "@/",
        "/",
        "?",
        "#",
        ":",
        "@",
        "%",
        "ab/cd==",
        "a?b#c/d@e:f%g h",
    ] {
        for scheme in ["postgres", "redis", "amqp"] {
            let text = format!("{scheme}://user:{password}@db.example:5432/app?x=y");
            let expected =
                ("user".into(), password.into(), "db.example:5432".into(), "/app".into());
            assert_eq!(parts(&text), expected, "{text}");
        }
    }
    let awkward = parts("http://u::@/#%?\" \\s3cr3t@h:1/x");
    assert_eq!(awkward, ("u".into(), ":@/#%?\" \\s3cr3t".into(), "h:1".into(), "/x".into()));
    let of_web = parts("meilisearch://:a/b#c?d@search:7700");
    assert_eq!(of_web, ("".into(), "a/b#c?d".into(), "search:7700".into(), "".into()));
}

#[test]
fn what_names_no_host_is_said_without_the_value() {
    let cases = [
        ("", "empty"),
        ("  ", "empty"),
        ("s3cret", "not a URL"),
        ("://s3cret", "not a URL"),
        ("1x://s3cret", "not a URL"),
        ("\"postgres://u:s3cret@db/x\"", "in quotation marks"),
        ("postgres://u:s3cret@db\n/x", "a control character"),
        ("postgres://u:s3cret@db\0/x", "a control character"),
        ("postgres://u:s3cret%00@db/x", "a percent-encoded zero"),
        ("postgres://u:s3cret%ff@db/x", "percent-encoded bytes"),
        ("tcp://s3cret:0", "not a host and a port"),
        ("tcp://s3cret:65536", "not a host and a port"),
        ("tcp://s3cret:+1", "not a host and a port"),
        ("tcp://[s3cret]:1", "not a host and a port"),
        ("tcp://[::1]s3cret", "not a host and a port"),
        ("tcp://::1:80", "not a host and a port"),
        ("tcp://a b", "not a host and a port"),
        ("tcp://a,,b", "not a host and a port"),
        ("tcp://:5432", "not a host and a port"),
        ("postgres://u:s3cret@d b/x", "no host can be made out"),
        ("postgres://u:s3cret@:x", "no host can be made out"),
    ];
    for (text, start) in cases {
        let wrong = parsed(text).unwrap_err();
        assert!(wrong.starts_with(start) && !wrong.contains("s3cret"), "{text}: {wrong}");
    }
    let long = format!("tcp://{}:1", "a".repeat(16 * 1024));
    assert!(parsed(&long).is_err());
    assert!(parsed(&format!("tcp://{}:1", "a".repeat(254))).is_err());
}

#[test]
fn steads_own_query_keys_are_options_and_the_others_stay() {
    let mut options = Options::default();
    let text = "redis://h/?a=b%20c&stead_list=bull%3Ajobs&stead_required&d=%26&a=e";
    let url = Url::parse(text, &mut options).unwrap();
    assert_eq!(options.take("list").as_deref(), Some("bull:jobs"));
    assert_eq!(options.take("required").as_deref(), Some(""));
    assert_eq!(options.left(), None);
    assert_eq!(url.value("a"), Some("e"));
    assert_eq!(url.raw_query, "a=b%20c&d=%26&a=e");
}

#[test]
fn a_password_in_the_query_is_a_secret_in_every_form() {
    parsed("jdbc:postgresql://db/x?user=u&password=qu%2Fery%22pw").unwrap();
    for form in ["qu/ery\"pw", "qu%2Fery%22pw", "\"qu/ery\\\"pw\""] {
        let shown = secret::scrub(form);
        assert!(shown.contains("***") && !shown.contains("ery"), "{shown}");
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Text of any characters but the zero byte, which no URL may hold.
fn any_text() -> impl Strategy<Value = String> {
    "[^\0]{1,20}"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic_and_no_mistake_repeats_it(before in "\\PC{0,30}|.{0,30}", after in ".{0,30}") {
        if let Err(wrong) = parsed(&format!("{before}s3cret{after}")) {
            prop_assert!(!wrong.contains("s3cret"), "{wrong}");
        }
    }

    #[test]
    fn what_looks_like_a_url_never_panics(
        text in "(postgres|http|redis\\+unix|unix|jdbc:postgresql):/{0,3}[a-b@:/?#%,=&.\\[\\]0-9 \"\\\\é]{0,40}",
    ) {
        if let Ok(url) = parsed(&text) {
            prop_assert!(url.hosts.iter().all(|host| !host.name.is_empty()), "{url:?}");
        }
    }

    #[test]
    fn encoded_parts_come_back(
        user in any_text(), password in any_text(), port in 1u16.., path in any_text(),
        key in "[a-z]{1,8}", value in any_text(), web: bool,
    ) {
        let scheme = if web { "http" } else { "postgres" };
        let text = format!(
            "{scheme}://{}:{}@db.example:{port}/{}?{key}={}",
            encoded(&user), encoded(&password), encoded(&path), encoded(&value),
        );
        let url = parsed(&text).unwrap();
        prop_assert_eq!(url.user.as_deref(), Some(&*user));
        prop_assert_eq!(url.password.as_ref().map(Secret::reveal), Some(&*password));
        let [host] = &url.hosts[..] else { panic!("{url:?}") };
        prop_assert_eq!((&*host.name, host.port), ("db.example", Some(port)));
        prop_assert_eq!(percent_decode_str(&url.path[1..]).decode_utf8().unwrap(), path);
        prop_assert_eq!(url.value(&key), Some(&*value));
    }

    /// But `=` behind a `?`: that may as well be the query.
    #[test]
    fn raw_passwords_come_back(password in "[a-z0-9@:/?#\"\\\\ ;,.!$*+-]{1,20}") {
        prop_assume!(!password.starts_with(':'));
        let text = format!("postgres://user:{password}@db.example:5432/app?x=y");
        prop_assert_eq!(parts(&text).1, password);
    }

    #[test]
    fn no_password_is_in_debug_where_a_host_stands_behind_it(
        before in "[@:/?#%& \"\\\\]{0,3}", after in "[@:/?#%& \"\\\\]{0,3}",
        scheme in "(postgres|redis|amqp)", rest in "(:1)?(/x|\\?x=y)?",
    ) {
        let mut options = Options::default();
        let text = format!("{scheme}://user:{before}s3cret{after}@db{rest}");
        let url = Url::parse(&text, &mut options).unwrap();
        prop_assert!(!format!("{url:?} {options:?}").contains("s3cret"), "{url:?}");
    }
}
