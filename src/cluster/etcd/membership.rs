//! How a unit's etcd comes into the cluster store, from wherever it was left.
//! Pure: looks at what is known, touches nothing.

use super::members::EtcdMember;

/// What the unit knows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    pub name: &'a str,
    /// Where the others reach its etcd, in any stage.
    pub peer_urls: &'a [String],
    /// Its etcd was started before and has kept its data.
    pub has_data: bool,
    /// It is the one that begins the cluster.
    pub founder: bool,
    /// Some unit has, or had, a part in a cluster.
    pub formed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Begin a new cluster store of one.
    Found,
    /// Go on with the data that is there.
    Resume,
    /// Be added without a vote, then start. An entry of ours that lost its data
    /// is removed first.
    Join {
        remove: Option<String>,
    },
    /// Added before, never started.
    Start,
    /// Others removed us: the data belongs to a member that is no more.
    Forget,
    Wait {
        why: &'static str,
    },
}

/// `seen`: the members as somebody else tells; `None` when nobody answers.
pub fn next_step(own: &Own<'_>, seen: Option<&[EtcdMember]>) -> Step {
    let ours = seen.and_then(|members| members.iter().find(|member| is_ours(own, member)));
    match (own.has_data, seen, ours) {
        (true, None, _) | (true, Some(_), Some(_)) => Step::Resume,
        (true, Some(_), None) => Step::Forget,
        (false, Some(_), Some(member)) if member.name.is_empty() => Step::Start,
        (false, Some(_), Some(member)) => Step::Join { remove: Some(member.id.clone()) },
        (false, Some(_), None) => Step::Join { remove: None },
        (false, None, _) if own.founder && !own.formed => Step::Found,
        (false, None, _) if own.formed => Step::Wait { why: "no unit of the cluster store answers" },
        (false, None, _) => Step::Wait { why: "the first unit has not begun the cluster yet" },
    }
}

/// A member that was never started has no name yet.
fn is_ours(own: &Own<'_>, member: &EtcdMember) -> bool {
    match member.name.as_str() {
        "" => member.peer_urls.iter().any(|url| own.peer_urls.contains(url)),
        name => name == own.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, url: &str) -> EtcdMember {
        let peer_urls = vec![url.to_owned()];
        EtcdMember { id: "7".into(), name: name.into(), peer_urls, client_urls: Vec::new(), learner: false }
    }

    #[test]
    fn from_wherever_it_was_left() {
        let urls = ["http://b:2380".to_owned(), "https://b:2381".to_owned()];
        let others = vec![member("a", "http://a:2380")];
        let with = |extra: EtcdMember| Some([others.clone(), vec![extra]].concat());
        let rejoin = Step::Join { remove: Some("7".into()) };
        let nobody = Step::Wait { why: "no unit of the cluster store answers" };
        let early = Step::Wait { why: "the first unit has not begun the cluster yet" };
        #[rustfmt::skip]
        let table = [
            // data   founder formed  others say                            then
            (false,   true,   false,  None,                                 Step::Found),
            (false,   true,   true,   None,                                 nobody.clone()),
            (false,   false,  false,  None,                                 early),
            (false,   false,  true,   None,                                 nobody),
            (false,   false,  true,   Some(others.clone()),                 Step::Join { remove: None }),
            (false,   true,   true,   Some(others.clone()),                 Step::Join { remove: None }),
            (false,   false,  true,   with(member("", "https://b:2381")),   Step::Start),
            (false,   false,  true,   with(member("b", "http://b:2380")),   rejoin),
            (true,    false,  true,   None,                                 Step::Resume),
            (true,    true,   false,  None,                                 Step::Resume),
            (true,    false,  true,   with(member("b", "http://old:2380")), Step::Resume),
            (true,    false,  true,   with(member("", "http://b:2380")),    Step::Resume),
            (true,    false,  true,   Some(others.clone()),                 Step::Forget),
        ];
        for (has_data, founder, formed, seen, want) in table {
            let own = Own { name: "b", peer_urls: &urls, has_data, founder, formed };
            assert_eq!(next_step(&own, seen.as_deref()), want, "{has_data} {founder} {formed} {seen:?}");
        }
    }
}
