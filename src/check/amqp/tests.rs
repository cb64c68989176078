//! What URLs mean, and that nothing is left of an attempt that was cut off.

use super::*;

fn parse(text: &str) -> Result<AmqpTarget, Wrong> {
    let mut options = Options::default();
    let url = Url::parse(text, &mut options)?;
    let target = AmqpTarget::parse(&url, &mut options)?;
    match options.left() {
        Some(left) => Err(format!("stead_{left} is left")),
        None => Ok(target),
    }
}

#[test]
fn a_virtual_host_is_one_segment_and_the_empty_one_is_the_default() {
    for (url, vhost) in [
        ("amqp://h", "/"),
        ("amqp://h/", "/"),
        ("amqp://h/%2F", "/"),
        ("amqp://h/%2f", "/"),
        ("amqp://h:5672/codecave", "codecave"),
        ("amqp://h/a%2Fb?heartbeat=10", "a/b"),
        ("amqp://h/%C3%A4", "ä"),
    ] {
        assert_eq!(parse(url).unwrap().login.uri().vhost, vhost, "{url}");
    }
    let longest = format!("amqp://h/{}", "v".repeat(255));
    assert!(parse(&longest).is_ok());
    assert!(parse(&format!("{longest}v")).is_err());
    assert!(parse("amqp://h/%FF").is_err());
}

#[test]
fn a_url_without_a_user_is_the_guests() {
    for (url, user, password) in [
        ("amqp://h", "guest", "guest"),
        ("amqp://app:s%40%3Ae@h", "app", "s@:e"),
        ("amqp://app@h", "app", "guest"),
        ("amqp://:secret@h", "guest", "secret"),
    ] {
        let userinfo = parse(url).unwrap().login.uri().authority.userinfo;
        assert_eq!((userinfo.username.as_str(), userinfo.password.as_str()), (user, password));
    }
}

#[test]
fn the_apps_heartbeat_counts_within_limits() {
    for (query, seconds) in [
        ("", 30),
        ("?heartbeat=10", 10),
        ("?heartbeat=0", 30),
        ("?heartbeat=1", 5),
        ("?heartbeat=580", 60),
        ("?heartbeat=none", 30),
    ] {
        let uri = parse(&format!("amqp://h{query}")).unwrap().login.uri();
        assert_eq!(uri.query.heartbeat, Some(seconds), "{query}");
    }
}

#[test]
fn options_that_make_no_sense_are_mistakes() {
    for (url, what) in [
        ("amqp://h?stead_max_messages=3", "need stead_queue"),
        ("amqp://h?stead_min_consumers=3", "need stead_queue"),
        ("amqp://h?stead_queue=", "stead_queue"),
        ("amqp://h?stead_queue=q&stead_max_messages=many", "stead_max_messages"),
        ("amqp://h?stead_ca=/ca.pem", "stead_ca is left"),
        ("amqp://h?stead_management=ftp://h", "stead_management"),
        ("amqp://h?stead_management=http://", "stead_management"),
        ("amqp+x://h", "scheme"),
        ("amqp://a,b", "more than one host"),
        ("amqp:///v", "no host"),
    ] {
        let wrong = parse(url).unwrap_err();
        assert!(wrong.contains(what), "{url}: {wrong}");
    }
    parse("amqps://h/v?stead_ca=/ca.pem&stead_verify=off").unwrap();
    parse("amqp://h/v?stead_ca=/ca.pem&stead_management=https://m").unwrap();
    parse("amqps://h/v?cacertfile=/ca.pem&verify=verify_peer&connection_timeout=3000").unwrap();
}

#[test]
fn neither_passwords_nor_what_is_made_of_them_is_shown() {
    let url = "amqp://app:hush-hush@h?stead_management=http://app:quiet@h:15672";
    let shown = format!("{:?}", parse(url).unwrap());
    // The user and the password of the management API, as its header has them.
    for secret in ["hush", "quiet", "YXBwOnF1aWV0"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
