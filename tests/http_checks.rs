//! The kinds `http`, `https` and `kong+http`: what is asked, what is expected of the answer, what is never told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::app::{Answer, App, Serve, idle};
use crate::harness::certificates::Authority;
use crate::harness::direct::{check, is_down, is_up};
use crate::harness::servers::web::Web;
use crate::harness::{LIMIT, Running, Scratch, free_port, stead, until};

/// A server with the files that it needs.
struct Site {
    _web: Web,
    _files: Scratch,
}

/// An nginx that shows what it was asked, and where.
fn nginx() -> (Site, String) {
    let port = free_port();
    let files = Scratch::new();
    let hashed = Command::new("openssl").args(["passwd", "-apr1", "pass w@rd:\"\\"]).output();
    let hashed = String::from_utf8(hashed.expect("openssl").stdout).expect("a hash");
    let users = files.file("users", format!("me:{hashed}"), 0o644);
    let server = format!(
        "server {{ listen 127.0.0.1:{port};
            location / {{ return 200 $request_uri; }}
            location /teapot {{ return 418; }}
            location /nothing {{ return 204; }}
            location /json {{ return 200 '{{\"status\":\"ok\",\"checks\":[{{\"left\":3}}]}}'; }}
            location /method {{ return 200 $request_method; }}
            location /host {{ return 200 $http_host; }}
            location /header {{ if ($http_x_key = 's3cret-key') {{ return 200 $http_accept; }} return 403; }}
            location /private {{ auth_basic r; auth_basic_user_file {users}; try_files /none =404; }}
            location /hop1 {{ return 302 /hop2; }}
            location /hop2 {{ return 307 http://localhost:{port}/hop3; }}
            location /hop3 {{ return 200 'arrived $http_x_key'; }}
            location /loop {{ return 301 /loop; }} }}",
        users = users.display()
    );
    let site = Site { _web: Web::nginx(&server, port), _files: files };
    (site, format!("http://127.0.0.1:{port}"))
}

#[test]
fn a_real_server_is_asked_as_the_url_says() {
    let (_site, url) = nginx();
    assert!(is_up(&url).contains("status 200"));
    is_up(&format!("{url}/nothing"));
    is_down(&format!("{url}/teapot"), "http_status at state");
    is_up(&format!("{url}/teapot?stead_status=200,418"));
    is_down(&format!("{url}/nothing?stead_status=200"), "http_status at state");

    is_up(&format!("{url}/json?stead_json=/status=ok"));
    is_up(&format!("{url}/json?stead_json=/checks/0/left=3&stead_body=checks"));
    is_down(&format!("{url}/json?stead_json=/status=down"), "http_body at state");
    is_down(&format!("{url}/?stead_json=/status=ok"), "http_body at state");

    is_up(&format!("{url}/method?stead_body=GET"));
    is_up(&format!("{url}/method?stead_method=post&stead_body=POST"));
    is_up(&format!("{url}/method?stead_method=HEAD"));
    let port = url.rsplit_once(':').unwrap().1;
    is_up(&format!("{url}/host?stead_body=127.0.0.1:{port}"));
    // What is not stead's goes through as it was written, in its order.
    let written = "/a%2Fb%20c/?q=%41+b&stead_timeout=5s&empty=&&x=%2f";
    is_up(&format!("{url}{written}&stead_body=/a%252Fb%2520c/?q=%2541%2Bb%26empty=%26x=%252f"));
}

#[test]
fn headers_and_passwords_are_sent_and_never_told() {
    let (_site, url) = nginx();
    let headers = "stead_header=X-Key:%20s3cret-key%0AAccept:%20text/x;q=1";
    is_up(&format!("{url}/header?{headers}&stead_body=text/x;q=1"));
    is_down(&format!("{url}/header?stead_header=X-Key:%20other"), "http_status at state");

    let private = url.replace("//", "//me:pass%20w%40rd%3A%22%5C@") + "/private";
    // The user is let in, and finds nothing.
    is_up(&format!("{private}?stead_status=404"));
    for user in ["", "me@", "me:s3cret%2Fpa@"] {
        let url = url.replace("//", &format!("//{user}")) + "/private";
        let line = is_down(&url, "http_status at state");
        assert!(line.contains("status 401") && !line.contains("s3cret"), "{line}");
    }
    for mistake in ["X-Key s3cret", "X Key: s3cret", "X-Key: s3cret%01"] {
        let (up, line) = check(&format!("{url}/?stead_header={mistake}"));
        assert!(!up && line.contains("stead_header: not ") && !line.contains("s3cret"), "{line}");
    }
}

#[test]
fn redirects_are_followed_only_as_far_as_asked_and_take_no_header_elsewhere() {
    let (_site, url) = nginx();
    assert!(is_up(&format!("{url}/hop1")).contains("status 302"));
    is_down(&format!("{url}/hop1?stead_status=200"), "http_status at state");
    is_down(&format!("{url}/hop1?stead_redirects=1"), "http_status at query");
    let arrived = format!("{url}/hop1?stead_redirects=2&stead_header=X-Key:%20k");
    is_up(&format!("{arrived}&stead_body=arrived"));
    // The last one is another origin, because it has another name.
    is_down(&format!("{arrived}&stead_body=arrived%20k"), "http_body at state");
    let line = is_down(&format!("{url}/loop?stead_redirects=10"), "http_status at query");
    assert!(line.contains("more than 10 redirects"), "{line}");
    let (up, line) = check(&format!("{url}/loop?stead_redirects=11"));
    assert!(!up && line.contains("stead_redirects"), "{line}");
}

#[test]
fn no_proxy_of_the_environment_is_asked() {
    let (_site, url) = nginx();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let mut command = stead(["check", &url]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &nobody);
    }
    let output = command.output().expect("stead");
    assert!(output.status.success(), "{output:?}");
}

/// A server that reads a question and answers by `answer`, for one connection after the other.
fn server(answer: impl Fn(&mut dyn Write) -> std::io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            // A client that has heard enough hangs up.
            let _ = answer(&mut stream);
        }
    });
    url
}

#[test]
fn a_byte_at_a_time_ends_at_the_deadline_of_the_whole_exchange() {
    let slowly = |text: &'static str| {
        server(move |stream| {
            for byte in text.bytes().chain(std::iter::repeat_n(b'x', 1000)) {
                stream.write_all(&[byte])?;
                thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        })
    };
    let in_the_head = slowly("HTTP/1.1 200 OK\r\nX-Slow: ");
    let fast = "HTTP/1.1 200 OK\r\n\r\n";
    let in_the_body = slowly(fast) + "/?stead_body=never&stead_timeout=2s";
    for url in [in_the_head, in_the_body] {
        let began = Instant::now();
        is_down(&url, "timeout at query");
        let took = began.elapsed();
        assert!((Duration::from_secs(2)..LIMIT).contains(&took), "{url}: {took:?}");
    }
}

#[test]
fn no_more_than_64_kilobytes_of_a_body_are_read() {
    let url = server(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nfirst")?;
        stream.write_all(&[b'x'; 64 * 1024])?;
        stream.write_all(b"last")
    });
    is_up(&format!("{url}/?stead_body=first"));
    let line = is_down(&format!("{url}/?stead_body=last"), "http_body at state");
    assert!(line.contains("as far as it is read"), "{line}");
    // A body that is cut off is no answer.
    let url =
        server(|stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst"));
    is_down(&format!("{url}/?stead_body=first"), "connect_reset at query");
}

#[test]
fn kong_is_known_by_its_status() {
    // The answer of GET /status as Kong's Admin API reference (3.x) shows it, shortened.
    let status = |reachable: &str| {
        let body = format!(
            "{{\"server\":{{\"connections_active\":6,\"total_requests\":9}},\"database\":{{\"reachable\":{reachable}}}}}"
        );
        server(move |stream| {
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
        })
    };
    let good = status("true");
    let line = is_up(&good.replace("http", "kong+http"));
    assert!(line.contains("database_reachable yes, connections 6"), "{line}");
    let bad = status("false").replace("http", "kong+http");
    let (_, line) = check(&bad);
    assert!(line.contains(" degraded: http_body at state "), "{line}");
    is_down(&format!("{bad}?stead_json=/database/reachable=true"), "http_body at state");
    // Another server is no Kong, and the path is /status unless there is one.
    let (_site, url) = nginx();
    is_down(&url.replace("http", "kong+http"), "http_body at state");
    let app = App::new();
    app.answers(Answer::Status(200));
    let kong = app.url("").replace("http", "kong+http");
    is_down(&kong, "http_body at state");
    is_down(&format!("{kong}/deep/status"), "http_body at state");
    let asked: Vec<_> =
        app.requests().iter().map(|r| r.lines().next().map(str::to_owned)).collect();
    let wanted = ["GET /status HTTP/1.1", "GET /deep/status HTTP/1.1"].map(|l| Some(l.to_owned()));
    assert_eq!(asked, wanted);
}

fn reaches(stead: &Running, name: &str, status: &str) -> serde_json::Value {
    let mut check = serde_json::Value::Null;
    let reached = until(LIMIT, || {
        check = stead.get("/readyz").json()["checks"][name].take();
        check["status"] == status
    });
    assert!(reached, "{name} is never {status}: {check}");
    check
}

#[test]
fn a_server_that_freezes_or_ends_is_down_and_up_again_by_itself() {
    let port = free_port();
    let site = format!("server {{ listen 127.0.0.1:{port}; return 200 x; }}");
    let web = Web::nginx(&site, port);
    let options = "stead_interval=300ms&stead_timeout=1s";
    let url = format!("http://127.0.0.1:{port}/?{options}");
    let stead = idle().env("STEAD_CHECK_WEB", url).serve();
    reaches(&stead, "web", "up");
    web.freeze();
    assert_eq!(reaches(&stead, "web", "down")["class"], "timeout");
    web.thaw();
    reaches(&stead, "web", "up");
    drop(web);
    assert_eq!(reaches(&stead, "web", "down")["class"], "connect_refused");
    let _web = Web::nginx(&site, port);
    reaches(&stead, "web", "up");
}

#[test]
fn the_app_may_speak_https() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ca");
    let port = free_port();
    let _web = Web::haproxy(port, &authority.server("app"), "alpn http/1.1");
    let url = format!("https://localhost:{port}/health");
    let trusted = format!("{url}?stead_ca={}", authority.certificate().display());
    for url in [trusted, format!("{url}?stead_verify=off")] {
        let stead = idle().env("STEAD_APP_URL", url).serve();
        reaches(&stead, "app-url", "up");
    }
    let stead = idle().env("STEAD_APP_URL", url).serve();
    let failed = || stead.get("/readyz").json()["checks"]["app-url"]["class"] == "tls_untrusted";
    assert!(until(LIMIT, failed));
}
