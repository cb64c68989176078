//! Checks from the app's environment: which there are, what they are asked, and where that came from.

use std::process::Command;

use serde_json::Value;

use crate::harness::{LIMIT, Scratch, Stead, stead};

/// Variables of the app's environment.
pub type Variables<'a> = &'a [(&'a str, &'a str)];

/// `stead config` with these variables.
pub fn config(variables: Variables) -> Command {
    let mut command = stead(["config", "--json"]);
    command.envs(variables.iter().copied());
    command
}

/// The checks that `stead config` shows.
pub fn shown(command: &mut Command) -> Vec<Value> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    rows.into_iter().filter(|row| row.get("options").is_some()).collect()
}

/// Name, URL and origin of each check.
pub fn checks(variables: Variables) -> Vec<[String; 3]> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let name = |row: &Value| text(row, "key").strip_prefix("check.").unwrap().to_owned();
    let rows = shown(&mut config(variables));
    rows.iter().map(|row| [name(row), text(row, "value"), text(row, "from")]).collect()
}

/// The variables that are ignored, which `stead run` says one line about each, and starts the child.
pub fn ignored(variables: Variables) -> Vec<String> {
    let mut run = Stead::run(["true"]);
    for (name, value) in variables {
        run = run.env(*name, *value);
    }
    let mut stead = run.start();
    assert_eq!(stead.wait_exit(LIMIT), 0, "{variables:?}");
    let events = stead.events_of("setting ignored");
    events.iter().map(|event| event["variable"].as_str().unwrap().to_owned()).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn the_healthcare_backend_is_understood_as_it_is() {
    let variables = [
        ("PORT", "8088"),
        (
            "DATABASE_URL",
            "postgresql://api:pw@db:5432/health?schema=public&connection_limit=10&pool_timeout=20",
        ),
        ("DIRECT_URL", "postgresql://api:pw@db:5433/health"),
        ("REDIS_URL", "redis://dragonfly:6379"),
    ];
    let expected = [
        ["app", "tcp://localhost:8088", "PORT"],
        ["database", "postgresql://api:***@db:5432/health?...", "DATABASE_URL"],
        ["redis", "redis://dragonfly:6379", "REDIS_URL"],
    ];
    assert_eq!(checks(&variables), expected);
    assert_eq!(ignored(&variables), NONE);
}

#[test]
fn the_same_on_kubernetes_is_not_misled_by_injected_variables() {
    let variables = [
        ("DATABASE_URL", "postgresql://api:pw@pgbouncer.data.svc:6432/health?pgbouncer=true"),
        ("REDIS_HOST", "redis.cache.svc"),
        ("REDIS_PASSWORD", "pw"),
        // Of Services named redis, stead, stead-check and stead-check-db.
        ("REDIS_PORT", "tcp://10.0.0.7:6379"),
        ("REDIS_SERVICE_HOST", "10.0.0.7"),
        ("STEAD_SERVICE_HOST", "10.0.0.8"),
        ("STEAD_PORT", "tcp://10.0.0.8:80"),
        ("STEAD_CHECK_SERVICE_HOST", "10.0.0.9"),
        ("STEAD_CHECK_SERVICE_PORT", "80"),
        ("STEAD_CHECK_SERVICE_PORT_HTTP", "80"),
        ("STEAD_CHECK_PORT", "tcp://10.0.0.9:80"),
        ("STEAD_CHECK_PORT_80_TCP", "tcp://10.0.0.9:80"),
        ("STEAD_CHECK_PORT_80_TCP_ADDR", "10.0.0.9"),
        ("STEAD_CHECK_DB_SERVICE_HOST", "10.0.0.10"),
        ("STEAD_CHECK_DB_SERVICE_PORT", "5432"),
        ("STEAD_CHECK_DB_PORT", "tcp://10.0.0.10:5432"),
        ("STEAD_CHECK_DB_PORT_5432_TCP_PROTO", "tcp"),
    ];
    let expected = [
        ["database", "postgresql://api:***@pgbouncer.data.svc:6432/health?...", "DATABASE_URL"],
        ["redis", "redis://:***@redis.cache.svc:6379", "REDIS_HOST"],
    ];
    assert_eq!(checks(&variables), expected);
    assert_eq!(ignored(&variables), NONE);
    // What only looks like it is a check.
    let own = [("STEAD_CHECK_MY_PORT", "tcp://db:5432")];
    assert_eq!(checks(&own), [["my-port", "tcp://db:5432", "STEAD_CHECK_MY_PORT"]]);
}

#[test]
fn fruitpak_is_understood_as_it_is() {
    let variables = [
        ("PORT", "8000"),
        ("INSTANCE_ID", "api-2"),
        ("DATABASE_URL", "postgresql+asyncpg://fruit:pw@timescale:5432/pak"),
        ("REDIS_URL", "rediss://default:pw@cache.example.com:6380/0"),
    ];
    let expected = [
        ["app", "tcp://localhost:8000", "PORT"],
        ["database", "postgresql+asyncpg://fruit:***@timescale:5432/pak", "DATABASE_URL"],
        ["redis", "rediss://default:***@cache.example.com:6380/0", "REDIS_URL"],
    ];
    assert_eq!(checks(&variables), expected);
    assert_eq!(ignored(&variables), NONE);
}

#[test]
fn codecave_is_understood_with_and_without_the_key_of_its_search() {
    let variables = [
        ("PORT", "3001"),
        ("DATABASE_URL", "postgres://cave:p%40w@pg.example.com/cave?sslmode=verify-full"),
        ("REDIS_URL", "redis://:password@redis:6379"),
        ("RABBITMQ_URL", "amqp://user:pass@mq:5672/codecave"),
        ("MEILI_HOST", "http://meilisearch:7700"),
    ];
    let expected = [
        ["app", "tcp://localhost:3001", "PORT"],
        ["database", "postgres://cave:***@pg.example.com/cave?...", "DATABASE_URL"],
        ["redis", "redis://:***@redis:6379", "REDIS_URL"],
        ["rabbitmq", "amqp://user:***@mq:5672/codecave", "RABBITMQ_URL"],
        ["meilisearch", "meilisearch://meilisearch:7700", "MEILI_HOST"],
    ];
    assert_eq!(checks(&variables), expected);
    assert_eq!(ignored(&variables), NONE);
    let with_key = [variables.as_slice(), &[("MEILI_MASTER_KEY", "k")]].concat();
    assert_eq!(checks(&with_key)[4][1], "meilisearch://:***@meilisearch:7700");
    let rows = shown(&mut config(&variables));
    let needs = |row: &Value| row["options"]["runtime"].as_str().unwrap().to_owned();
    let needs: Vec<String> = rows.iter().map(needs).collect();
    assert_eq!(needs, ["required", "required", "required", "required", "degraded"]);
}

#[test]
fn collabry_is_understood_but_for_its_mongodb() {
    let variables = [
        ("PORT", "5000"),
        ("MONGODB_URI", "mongodb+srv://user:pw@cluster0.example.mongodb.net/collabry"),
        ("REDIS_URL", "redis://redis:6379"),
    ];
    let expected =
        [["app", "tcp://localhost:5000", "PORT"], ["redis", "redis://redis:6379", "REDIS_URL"]];
    assert_eq!(checks(&variables), expected);
    assert_eq!(ignored(&variables), ["MONGODB_URI"]);
}

#[test]
fn every_variable_of_the_list_becomes_a_check() {
    for (variable, value, name, url) in [
        ("POSTGRES_URL", "postgres://db/x", "database", "postgres://db/x"),
        (
            "DATABASE_URL",
            "jdbc:postgresql://db/x?user=u&password=p",
            "database",
            "postgresql://db/x?...",
        ),
        ("DATABASE_URL", "postgis://db/x", "database", "postgis://db/x"),
        ("PGHOST", "db", "database", "postgres://db/"),
        ("PGHOST", "/run/postgresql", "database", "postgres:///run/postgresql/"),
        ("CACHE_URL", "redis://h", "redis", "redis://h"),
        ("DRAGONFLY_URL", "dragonfly://h", "redis", "dragonfly://h"),
        ("VALKEY_URL", "valkeys://h", "redis", "valkeys://h"),
        ("REDIS_URL", "unix:///run/redis.sock", "redis", "redis+unix:///run/redis.sock"),
        ("REDIS_HOST", "h", "redis", "redis://h"),
        ("REDIS_HOST", "::1", "redis", "redis://[::1]"),
        ("REDIS_HOST", "h:6380", "redis", "redis://h:6380"),
        ("DRAGONFLY_HOST", "h", "redis", "redis://h"),
        ("AMQP_URL", "amqps://h/v", "rabbitmq", "amqps://h/v"),
        ("CLOUDAMQP_URL", "amqp://u:p@h/u", "rabbitmq", "amqp://u:***@h/u"),
        ("MEILISEARCH_URL", "https://h", "meilisearch", "meilisearch+https://h:443"),
        ("MEILI_HOST", "h:7701", "meilisearch", "meilisearch://h:7701"),
    ] {
        let expected = [[name, url, variable]];
        // libpq's own default, the name of the system's user, may not be there.
        assert_eq!(checks(&[(variable, value), ("PGUSER", "")]), expected, "{variable}={value}");
        let file = Scratch::new();
        let path = file.file("secret", format!("{value}\n"), 0o600);
        let variable = format!("{variable}_FILE");
        let expected = [[name, url, &*variable]];
        assert_eq!(checks(&[(&variable, path.to_str().unwrap())]), expected, "{variable}");
    }
}

#[test]
fn the_parts_of_a_redis_and_of_a_postgres_are_put_together() {
    let scratch = Scratch::new();
    let password = scratch.file("password", "s3cr3t@/\n", 0o600);
    let password = password.to_str().unwrap();
    let of_redis = [
        ("REDIS_HOST", "cache"),
        ("REDIS_PORT", "6380"),
        ("REDIS_USERNAME", "worker"),
        ("REDIS_PASSWORD_FILE", password),
        ("REDIS_TLS", "true"),
    ];
    assert_eq!(checks(&of_redis), [["redis", "rediss://worker:***@cache:6380", "REDIS_HOST"]]);
    let laravel = [("REDIS_HOST", "cache"), ("REDIS_PASSWORD", "null"), ("REDIS_PORT", "6379")];
    assert_eq!(checks(&laravel), [["redis", "redis://cache:6379", "REDIS_HOST"]]);
    let of_postgres = [
        ("PGHOST", "a,b"),
        ("PGPORT", "5432,5433"),
        ("PGUSER", "app"),
        ("PGPASSWORD_FILE", password),
        ("PGDATABASE", "my db"),
        ("PGSSLMODE", "require"),
    ];
    let url = "postgres://app:***@a:5432,b:5433/my%20db?...";
    assert_eq!(checks(&of_postgres), [["database", url, "PGHOST"]]);
}

#[test]
fn a_service_of_libpq_is_looked_up_in_its_file() {
    let scratch = Scratch::new();
    let text = "# one\n[other]\nhost=x\n[mine]\nhost=db\nport=5433\nuser=app\npassword=s3cr3t\ndbname=shop\n[last]\nhost=y\n";
    let file = scratch.file(".pg_service.conf", text, 0o600);
    let expected = [["database", "postgres://app:***@db:5433/shop", "PGSERVICE"]];
    let named = [("PGSERVICE", "mine"), ("PGSERVICEFILE", file.to_str().unwrap())];
    assert_eq!(checks(&named), expected);
    // In the home, where also a password file is looked for; and stronger than the other variables.
    let home = scratch.path().to_str().unwrap();
    let at_home = [("PGSERVICE", "mine"), ("HOME", home), ("PGPORT", "1"), ("PGHOST", "z")];
    let expected = [["database", "postgres://app:***@db:5433/shop?...", "PGSERVICE"]];
    assert_eq!(checks(&at_home), expected);
    let missing = [("PGSERVICE", "none"), ("PGSERVICEFILE", file.to_str().unwrap())];
    assert_eq!(ignored(&missing), ["PGSERVICE"]);
}

#[test]
fn two_variables_for_one_dependency_are_two_checks_where_they_differ() {
    let url = "postgres://app:pw@db/shop";
    let same = [
        ("DATABASE_URL", url),
        ("POSTGRES_URL", "postgresql+asyncpg://app:pw@db:5432/shop?ssl=require"),
        ("PGHOST", "db"),
        ("PGUSER", "app"),
        ("PGPASSWORD", "pw"),
        ("PGDATABASE", "shop"),
    ];
    let masked = "postgres://app:***@db/shop";
    assert_eq!(checks(&same), [["database", masked, "DATABASE_URL"]]);
    let other = [("DATABASE_URL", url), ("POSTGRES_URL", "postgres://app:other@db/shop")];
    let expected = [["database", masked, "DATABASE_URL"], ["postgres-url", masked, "POSTGRES_URL"]];
    assert_eq!(checks(&other), expected);
    let first_is_none = [("DATABASE_URL", "mysql://db"), ("POSTGRES_URL", url)];
    assert_eq!(checks(&first_is_none), [["database", masked, "POSTGRES_URL"]]);
}

#[test]
fn a_found_value_that_is_not_understood_is_one_warning_and_no_check() {
    for (variable, value) in [
        ("DATABASE_URL", "mysql://u:s3cr3t@db/x"),
        ("DATABASE_URL", "file:./s3cr3t.db"),
        ("DATABASE_URL", "sqlite:///s3cr3t.db"),
        ("DATABASE_URL", "sqlite:s3cr3t.db"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "s3cr3t"),
        ("DATABASE_URL", "postgres://u:s3cr3t%ff@db/x"),
        ("DATABASE_URL", "postgres://u:s3cr3t@d b/x"),
        ("DATABASE_URL", "'postgres://u:s3cr3t@db/x'"),
        ("DATABASE_URL", "postgres://db/x?stead_s3cr3t=1"),
        ("DATABASE_URL", "postgres://db/x?stead_interval=s3cr3t"),
        ("DATABASE_URL_FILE", "/nonexistent/s3cr3t"),
        ("CACHE_URL", "locmem://"),
        ("CACHE_URL", "file:///tmp/s3cr3t"),
        ("REDIS_URL", "http://s3cr3t"),
        ("REDIS_HOST", "s3cr3t host"),
        ("MEILI_HOST", "ftp://s3cr3t"),
        ("PGHOST", "s3cr3t host"),
        ("MONGO_URL", "mongodb://u:s3cr3t@db/x"),
    ] {
        assert_eq!(checks(&[(variable, value)]), [[""; 3]; 0], "{variable}={value}");
        let mut stead = Stead::run(["true"]).env(variable, value).start();
        assert_eq!(stead.wait_exit(LIMIT), 0, "{variable}={value}");
        let warnings = stead.events_of("setting ignored");
        assert_eq!(warnings.len(), 1, "{variable}={value}: {warnings:?}");
        assert_eq!(warnings[0]["variable"], variable);
        let said = stead.stderr().concat();
        // The name of an option is none of the value.
        assert!(value.contains("stead_s3cr3t") || !said.contains("s3cr3t"), "{said}");
    }
}

#[test]
fn discovery_can_be_turned_off() {
    let variables = [("STEAD_DISCOVER", "off"), ("DATABASE_URL", "postgres://db/x"), ("PORT", "1")];
    assert_eq!(checks(&variables), [[""; 3]; 0]);
    let broken = [("STEAD_DISCOVER", "off"), ("DATABASE_URL", "mysql://db/x")];
    assert_eq!(ignored(&broken), NONE);
}
