//! Certificates of authorities of the tests' own, made by openssl(1): good ones, and those that are to be refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::Scratch;

/// A certificate authority, which trusts nobody and is trusted by whoever is given its certificate.
pub struct Authority {
    folder: PathBuf,
    name: String,
}

/// A certificate and its key, both PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key (PKCS #8, P-256), readable by its owner alone.
    pub key: PathBuf,
    /// Both in one file, as haproxy wants them.
    pub both: PathBuf,
}

/// The names of this machine as its own clients know it.
const LOCAL: &str = "DNS:localhost,IP:127.0.0.1,IP:::1";

const DAY: i64 = 24 * 3600;

impl Authority {
    /// An authority of this name, its files in `scratch`.
    pub fn new(scratch: &Scratch, name: &str) -> Self {
        let this = Self { folder: scratch.path().to_path_buf(), name: name.to_owned() };
        let database = this.file("database");
        let config = format!(
            "[ca]\ndefault_ca=a\n[a]\ndatabase={}\nrand_serial=yes\ndefault_md=sha256\n\
             policy=p\nunique_subject=no\n[p]\ncommonName=supplied\n",
            database.display()
        );
        scratch.file(&format!("{name}.database"), "", 0o600);
        scratch.file(&format!("{name}.config"), config, 0o600);
        let subject = format!("/CN=stead test authority {name}");
        let extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
        let (key, certificate) = (this.file("key"), this.certificate());
        let line = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        openssl(|command| {
            command.args(line).args(["-nodes", "-days", "30", "-subj", &subject]).args(extensions);
            command.arg("-keyout").arg(key).arg("-out").arg(certificate);
        });
        this
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.file("pem")
    }

    /// A server's certificate for localhost, 127.0.0.1 and ::1.
    pub fn server(&self, name: &str) -> Pair {
        self.server_for(name, LOCAL)
    }

    /// A server's certificate for these names alone, for instance `DNS:example.org`.
    pub fn server_for(&self, name: &str, names: &str) -> Pair {
        self.issue(name, names, (-DAY, 10 * DAY))
    }

    /// A server's certificate that ends in so many days; one that is over where they are negative.
    pub fn server_until(&self, name: &str, days: i64) -> Pair {
        // A minute more, so that the whole days are still left when it is looked at.
        self.issue(name, LOCAL, (-30 * DAY, days * DAY + 60))
    }

    /// A server's certificate that is not valid before tomorrow.
    pub fn server_from_tomorrow(&self, name: &str) -> Pair {
        self.issue(name, LOCAL, (DAY, 10 * DAY))
    }

    /// A client's certificate; `name` is its common name, which some servers take for the user's.
    pub fn client(&self, name: &str) -> Pair {
        self.issue(name, &format!("DNS:{name}"), (-DAY, 10 * DAY))
    }

    /// A certificate of this common name for these alternative names, valid between these seconds from now.
    fn issue(&self, name: &str, names: &str, (from, until): (i64, i64)) -> Pair {
        let file = |ending: &str| self.folder.join(format!("{name}.{ending}"));
        let (request, extensions) = (file("request"), file("extensions"));
        let (key, certificate, both) = (file("key"), file("pem"), file("both"));
        let usage = "extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n";
        fs::write(&extensions, format!("subjectAltName={names}\n{usage}")).expect("extensions");
        let line = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        openssl(|command| {
            command.args(line).args(["-nodes", "-subj", &format!("/CN={name}")]);
            command.arg("-keyout").arg(&key).arg("-out").arg(&request);
        });
        openssl(|command| {
            command.args(["ca", "-batch", "-notext"]);
            command.args(["-startdate", &moment(from), "-enddate", &moment(until)]);
            command.arg("-config").arg(self.file("config")).arg("-outdir").arg(&self.folder);
            command.arg("-cert").arg(self.certificate()).arg("-keyfile").arg(self.file("key"));
            command.arg("-extfile").arg(&extensions).arg("-in").arg(&request);
            command.arg("-out").arg(&certificate);
        });
        let pair = [read(&certificate), read(&key)].concat();
        fs::write(&both, pair).expect("a certificate and its key");
        Pair { certificate, key, both }
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }
}

impl Pair {
    /// Puts this pair in the place of another, file by file and each at once, as a renewal does.
    pub fn replace(&self, other: &Self) {
        for (from, to) in [
            (&self.certificate, &other.certificate),
            (&self.key, &other.key),
            (&self.both, &other.both),
        ] {
            replace(from, to);
        }
    }
}

/// A certificate for localhost that nobody but itself has issued, as `openssl req -x509` makes it: marked as an
/// authority's.
pub fn self_signed(scratch: &Scratch, name: &str) -> Pair {
    let file = |ending: &str| scratch.path().join(format!("{name}.{ending}"));
    let (key, certificate, both) = (file("key"), file("pem"), file("both"));
    openssl(|command| {
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-nodes", "-days", "10", "-subj", "/CN=localhost"]);
        command.args(["-addext", "subjectAltName=DNS:localhost"]);
        command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    });
    fs::write(&both, [read(&certificate), read(&key)].concat()).expect("both in one file");
    Pair { certificate, key, both }
}

/// Puts a copy of one file in the place of another at once.
pub fn replace(from: &Path, to: &Path) {
    let new = to.with_extension("new");
    fs::copy(from, &new).expect("a copy");
    fs::rename(&new, to).expect("a file in the place of another");
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// So many seconds from now as openssl-ca(1) wants it: `YYYYMMDDHHMMSSZ`.
fn moment(seconds: i64) -> String {
    let away = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemTime::now();
    let at = if seconds < 0 { now - away } else { now + away };
    let text = humantime::format_rfc3339_seconds(at).to_string();
    text.replace(['-', ':', 'T'], "")
}

fn openssl(arguments: impl FnOnce(&mut Command)) {
    let mut command = Command::new("openssl");
    arguments(&mut command);
    let output = command.output().expect("openssl, of the Debian package of that name");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_certificates_of_the_tests_are_what_they_are_called() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "one");
    let other = Authority::new(&scratch, "two");
    let verify = |authority: &Authority, pair: &Pair, host: &str| {
        let mut command = Command::new("openssl");
        command.arg("verify").arg("-CAfile").arg(authority.certificate());
        command.args(["-purpose", "sslserver", "-verify_hostname", host]).arg(&pair.certificate);
        let output = command.output().expect("openssl");
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    };
    let good = authority.server("good");
    assert!(verify(&authority, &good, "localhost").contains(": OK"));
    assert!(verify(&other, &good, "localhost").contains("unable to get local issuer"));
    let elsewhere = authority.server_for("elsewhere", "DNS:example.org");
    assert!(verify(&authority, &elsewhere, "localhost").contains("hostname mismatch"));
    let over = authority.server_until("over", -1);
    assert!(verify(&authority, &over, "localhost").contains("has expired"));
    let early = authority.server_from_tomorrow("early");
    assert!(verify(&authority, &early, "localhost").contains("not yet valid"));
}
