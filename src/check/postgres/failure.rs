//! What a failure of the driver, or an error of the server, means.

use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use super::super::tls;
use super::super::{Class, ProbeError};

/// The class and the text of a failure.
pub(super) fn failed(error: Error) -> ProbeError {
    if let Some(error) = error.as_db_error() {
        return refused(error);
    }
    if error.is_closed() {
        return ProbeError::new(Class::ConnectReset, "the server closed the connection");
    }
    // The driver keeps to itself what kind of failure it was, and says it in constant words.
    let kind = error.to_string();
    let Some(source) = error.into_source() else {
        return ProbeError::new(Class::Protocol, kind);
    };
    match source.downcast::<io::Error>() {
        Ok(error) => broken(*error),
        Err(source) => {
            let text = source.to_string();
            if text == "password missing" {
                return ProbeError::new(
                    Class::AuthFailed,
                    "it wants a password, and none is given",
                );
            }
            let class = match kind.as_str() {
                "authentication error" if text.starts_with("unsupported") => Class::NotSupported,
                // No password where one is asked for, no channel binding where it must be, or a server that does not
                // know the password either.
                "authentication error" | "invalid configuration" => Class::AuthFailed,
                _ => Class::Protocol,
            };
            ProbeError::new(class, format!("{kind}: {text}"))
        }
    }
}

/// Whether it is an answer after which the connection goes on.
pub(super) fn is_answer(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| error.severity() == "ERROR")
}

/// A connection that broke, or that carries something else than Postgres' protocol.
fn broken(error: io::Error) -> ProbeError {
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    match error.kind() {
        _ if is_tls => tls::failed(error),
        io::ErrorKind::UnexpectedEof => ProbeError::new(Class::ConnectReset, error),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            ProbeError::new(Class::Protocol, error)
        }
        _ => ProbeError::new(Class::of(&error), error),
    }
}

/// An error of the server: appendix A of PostgreSQL's documentation has the codes.
fn refused(error: &DbError) -> ProbeError {
    let (code, message) = (error.code().code(), error.message());
    let class = class_of(code, message);
    let no_tls = ["no encryption", "SSL off", "SSL required"];
    let hint = match no_tls.iter().any(|words| message.contains(words)) {
        true if class == Class::AccessDenied => "; perhaps it wants TLS: sslmode=require or better",
        _ => "",
    };
    ProbeError::new(class, format!("{}: {message} ({code}){hint}", error.severity()))
}

fn class_of(code: &str, message: &str) -> Class {
    match code {
        "28P01" => Class::AuthFailed,
        // pg_hba.conf has no line for it; a right that is missing; a database that takes no connections.
        "28000" | "42501" | "55000" => Class::AccessDenied,
        "3D000" => Class::NotFound,
        "53200" => Class::OutOfMemory,
        "53300" => Class::TooManyConnections,
        "57P03" if message.contains("shutting down") => Class::ShuttingDown,
        "57P03" => Class::Starting,
        "57P01" | "57P02" => Class::ShuttingDown,
        "57P05" => Class::ConnectReset,
        "25006" => Class::WrongRole,
        // PgBouncer says all of this by one code, its own protocol violation.
        "08P01" => match message {
            _ if message.contains("no more connections allowed") => Class::TooManyConnections,
            _ if message.contains("SSL required") => Class::AccessDenied,
            _ if message.contains("no such database") => Class::NotFound,
            _ if message.contains("authentication failed") => Class::AuthFailed,
            // The server behind it is gone.
            _ if message.contains("server_login_retry") || message.contains("cannot connect") => {
                Class::ConnectFailed
            }
            _ => Class::Protocol,
        },
        _ => Class::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_the_server_has_its_class() {
        for (code, class) in [
            ("28P01", Class::AuthFailed),
            ("28000", Class::AccessDenied),
            ("42501", Class::AccessDenied),
            ("3D000", Class::NotFound),
            ("53300", Class::TooManyConnections),
            ("57P03", Class::Starting),
            ("57P01", Class::ShuttingDown),
            ("25006", Class::WrongRole),
            ("08P01", Class::Protocol),
            ("XX000", Class::Protocol),
        ] {
            assert_eq!(class_of(code, "the database system is starting up"), class, "{code}");
        }
        let shutting_down = "the database system is shutting down";
        assert_eq!(class_of("57P03", shutting_down), Class::ShuttingDown);
        let full = "no more connections allowed (max_client_conn)";
        assert_eq!(class_of("08P01", full), Class::TooManyConnections);
    }
}
