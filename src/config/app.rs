//! The app itself: what of it is checked.

use hyper::Uri;

use super::sources::{Raw, Sources};
use super::{Environment, Listen, Mistake, value};
use crate::check::registry::Check;

/// What is checked of the app itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct App {
    /// The port that must accept connections.
    pub port: Option<u16>,
    /// The URL that must answer.
    pub url: Option<Uri>,
    /// The name of the process that must be there.
    pub process: Option<String>,
    /// Whether all of them count for liveness too.
    pub live: bool,
}

impl Sources {
    pub(super) fn app(&mut self, env: &Environment, discover: bool) -> Result<App, Mistake> {
        let set = self.one("app_port", value::port_or_off)?;
        let port = match set {
            Some(port) => port,
            None if discover => self.discovered_port(env),
            None => None,
        };
        let shown = match (port, set) {
            (Some(port), _) => port.to_string(),
            (None, Some(None)) => "off".to_owned(),
            (None, _) => "none".to_owned(),
        };
        self.show("app_port", shown);
        let url = self.one("app_url", value::app_url)?;
        self.show("app_url", url.as_ref().map_or("none".to_owned(), value::show_url));
        let process = self.one("app_pid_of", value::program)?;
        self.show("app_pid_of", process.as_deref().unwrap_or("none"));
        let live = self.switch("app_live", false)?;
        Ok(App { port, url, process, live })
    }

    /// The app and the endpoints cannot have one port.
    pub(super) fn must_be_free(&self, listen: Listen, app: &App) -> Result<(), Mistake> {
        match listen.port() {
            Some(port) if app.port == Some(port) => {
                let wrong = format!("{port} is the app's own port; the endpoints need another one");
                Err(Mistake::at(self.place("listen"), wrong))
            }
            _ => Ok(()),
        }
    }

    /// `app_live` is of no use where nothing of the app is checked.
    pub(super) fn must_see_the_app(&self, app: &App, checks: &[Check]) -> Result<(), Mistake> {
        // A worker that shares an environment file switches its port off knowingly.
        if !app.live || !checks.is_empty() || self.has("app_port") {
            return Ok(());
        }
        let wrong = "there is no check of the app (set --app-port, --app-url or --app-pid-of)";
        Err(Mistake::at(self.place("app_live"), wrong))
    }

    /// `PORT` of the app's environment; what is no port is not the app's fault, and no check.
    fn discovered_port(&mut self, env: &Environment) -> Option<u16> {
        let text = env.found("PORT")?;
        match value::port(&text) {
            Ok(port) => {
                self.raw.insert("app_port", Raw { texts: vec![text], place: "PORT".to_owned() });
                Some(port)
            }
            Err(wrong) => {
                self.ignored.push(("PORT".to_owned(), wrong));
                None
            }
        }
    }
}
