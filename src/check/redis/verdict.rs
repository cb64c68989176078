//! What a Redis says about itself, and what that means. Pure.

use redis::InfoDict;

use crate::check::{Class, Detail, Fact, Pass, ProbeError};
use crate::value::Wrong;

/// Whether a server takes writes of its own, or repeats another's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Primary,
    Replica,
}

/// What a target must be, beyond answering.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) role: Option<Role>,
    /// How many may wait in the list.
    pub(super) messages: Option<u64>,
}

/// What was learnt in one round. What a user may not ask is not there.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The answer to INFO.
    pub(super) info: Option<InfoDict>,
    /// The answer to CLUSTER INFO, of a server that is in one.
    pub(super) cluster: Option<InfoDict>,
    /// The length of the list.
    pub(super) length: Option<u64>,
}

impl Role {
    /// A role by any of its names.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "primary" | "master" => Ok(Self::Primary),
            "replica" | "slave" => Ok(Self::Replica),
            _ => Err("neither primary nor replica".to_owned()),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

impl Facts {
    /// The server's role, where it could be asked.
    pub(super) fn role(&self) -> Option<Role> {
        Role::parse(self.text("role")?.as_str()).ok()
    }

    /// Whether it is a node of a cluster.
    pub(super) fn is_clustered(&self) -> bool {
        self.text("redis_mode").as_deref() == Some("cluster")
            || self.count("cluster_enabled") == Some(1)
    }

    /// What all of it means.
    pub(super) fn judge(&self, wanted: &Wanted) -> Result<Pass, ProbeError> {
        if self.text("redis_mode").as_deref() == Some("sentinel") {
            let text = "a Sentinel: stead asks the server itself";
            return Err(ProbeError::new(Class::NotSupported, text));
        }
        // Dragonfly answers PING while it loads.
        if self.count("loading") == Some(1) {
            return Err(ProbeError::new(Class::Starting, "it is loading its data"));
        }
        match self.cluster.as_ref().and_then(|cluster| cluster.get::<String>("cluster_state")) {
            Some(state) if state != "ok" => {
                return Err(ProbeError::new(Class::ClusterDown, format!("cluster_state:{state}")));
            }
            _ => {}
        }
        self.judge_role(wanted.role)?;
        Ok(Pass { detail: self.detail(), concern: self.concern(wanted) })
    }

    fn judge_role(&self, wanted: Option<Role>) -> Result<(), ProbeError> {
        match (wanted, self.role()) {
            (None, _) => Ok(()),
            (Some(wanted), Some(role)) if wanted == role => Ok(()),
            (Some(_), Some(role)) => {
                Err(ProbeError::new(Class::WrongRole, format!("it is a {}", role.name())))
            }
            (Some(_), None) => {
                let text = "stead_role needs the right to INFO, which this user has not";
                Err(ProbeError::new(Class::AccessDenied, text))
            }
        }
    }

    fn detail(&self) -> Detail {
        let mut detail = Detail::new();
        detail.extend(self.server());
        detail.extend(self.role().map(|role| ("role", Fact::Text(role.name().to_owned()))));
        if self.info.is_some() {
            // A replica may load its next data beside the old ones, which it still serves.
            let loading = self.count("async_loading") == Some(1);
            detail.push(("loading", Fact::Flag(loading)));
        }
        detail.extend(self.cluster.is_some().then(|| ("cluster", Fact::Text("ok".to_owned()))));
        detail.extend(self.count("used_memory").map(|used| ("memory_used", Fact::Count(used))));
        if let Some((used, max)) = self.memory() {
            detail.push(("memory_max", Fact::Count(max)));
            detail.push(("memory_percent", Fact::Number(100.0 * used as f64 / max as f64)));
        }
        detail.extend(self.length.map(|length| ("list_length", Fact::Count(length))));
        detail
    }

    /// Name and version, of a server that also claims the Redis version that it is compatible with.
    fn server(&self) -> Option<(&'static str, Fact)> {
        let names =
            [("valkey", "valkey_version"), ("", "dragonfly_version"), ("redis", "redis_version")];
        let (name, version) =
            names.iter().find_map(|(name, key)| Some((*name, self.text(key)?)))?;
        Some(("server", Fact::Text(format!("{name} {version}").trim().to_owned())))
    }

    fn concern(&self, wanted: &Wanted) -> Option<ProbeError> {
        if self.text("master_link_status").as_deref() == Some("down") {
            let text = "a replica without its primary: what it serves grows old";
            return Some(ProbeError::new(Class::MasterDown, text));
        }
        let evicts = self.text("maxmemory_policy").as_deref() != Some("noeviction");
        let is_primary = self.role() == Some(Role::Primary);
        if !evicts && is_primary && self.memory().is_some_and(|(used, max)| used >= max) {
            return Some(ProbeError::new(Class::OutOfMemory, "maxmemory is used up: writes fail"));
        }
        match (self.length, wanted.messages) {
            (Some(length), Some(most)) if length > most => {
                let text = format!("{length} in the list, more than {most}");
                Some(ProbeError::new(Class::TooManyMessages, text))
            }
            _ => None,
        }
    }

    /// Bytes used of those that may be, without what Redis leaves out of this account itself (buffers for replicas and
    /// the append-only file); none where there is no limit.
    fn memory(&self) -> Option<(u64, u64)> {
        let max = self.count("maxmemory").filter(|max| *max > 0)?;
        let left_out = self.count("mem_not_counted_for_evict").unwrap_or(0);
        Some((self.count("used_memory")?.saturating_sub(left_out), max))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.info.as_ref()?.get(key)
    }

    fn count(&self, key: &str) -> Option<u64> {
        self.info.as_ref()?.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(info: &str) -> Facts {
        Facts { info: Some(InfoDict::new(info)), ..Facts::default() }
    }

    fn failure(facts: &Facts, wanted: &Wanted) -> Class {
        facts.judge(wanted).unwrap_err().class
    }

    fn concern(facts: &Facts, wanted: &Wanted) -> Option<Class> {
        facts.judge(wanted).unwrap().concern.map(|concern| concern.class)
    }

    #[test]
    fn a_dragonfly_that_loads_is_starting_though_it_answers() {
        let info = "dragonfly_version:df-v1.21.0\r\nrole:master\r\nloading:1\r\n";
        assert_eq!(failure(&facts(info), &Wanted::default()), Class::Starting);
        let pass = facts(&info.replace("loading:1", "loading:0")).judge(&Wanted::default());
        let detail = pass.unwrap().detail;
        assert_eq!(detail[0], ("server", Fact::Text("df-v1.21.0".to_owned())));
    }

    #[test]
    fn a_sentinel_is_none_of_the_servers_that_it_watches() {
        let sentinel = facts("redis_mode:sentinel\r\n");
        assert_eq!(failure(&sentinel, &Wanted::default()), Class::NotSupported);
    }

    #[test]
    fn a_role_that_is_wanted_must_be_there_and_known() {
        let primary = Wanted { role: Some(Role::Primary), ..Wanted::default() };
        assert!(facts("role:master\r\n").judge(&primary).is_ok());
        assert_eq!(failure(&facts("role:slave\r\n"), &primary), Class::WrongRole);
        assert_eq!(failure(&Facts::default(), &primary), Class::AccessDenied);
        assert!(Facts::default().judge(&Wanted::default()).unwrap().detail.is_empty());
    }

    #[test]
    fn full_memory_is_a_concern_where_nothing_is_evicted_and_it_counts() {
        let full =
            "role:master\r\nused_memory:200\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n";
        let none = Wanted::default();
        assert_eq!(concern(&facts(full), &none), Some(Class::OutOfMemory));
        for (from, to) in [
            ("noeviction", "allkeys-lru"),
            ("role:master", "role:slave"),
            ("maxmemory:100", "maxmemory:0"),
            ("used_memory:200", "used_memory:99"),
            ("maxmemory_policy", "mem_not_counted_for_evict:101\r\nmaxmemory_policy"),
        ] {
            assert_eq!(concern(&facts(&full.replace(from, to)), &none), None, "{to}");
        }
    }

    #[test]
    fn a_replica_that_lost_its_primary_is_a_concern_while_it_answers() {
        let lost = facts("role:slave\r\nmaster_link_status:down\r\n");
        assert_eq!(concern(&lost, &Wanted::default()), Some(Class::MasterDown));
    }

    #[test]
    fn a_list_may_hold_as_many_as_were_allowed() {
        let wanted = Wanted { messages: Some(10), ..Wanted::default() };
        let list = |length| Facts { length: Some(length), ..Facts::default() };
        assert_eq!(concern(&list(10), &wanted), None);
        assert_eq!(concern(&list(11), &wanted), Some(Class::TooManyMessages));
    }

    #[test]
    fn a_cluster_must_be_whole() {
        let node = facts("redis_mode:cluster\r\n");
        assert!(node.is_clustered());
        let with = |state| Facts { cluster: Some(InfoDict::new(state)), ..Facts::default() };
        assert_eq!(
            failure(&with("cluster_state:fail\r\n"), &Wanted::default()),
            Class::ClusterDown
        );
        assert!(with("cluster_state:ok\r\n").judge(&Wanted::default()).is_ok());
    }
}
