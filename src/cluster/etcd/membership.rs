//! How a unit's etcd comes into the cluster store, from wherever it was left.
//! Pure: looks at what is known, touches nothing.

use super::members::EtcdMember;

/// What the unit knows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    pub name: &'a str,
    /// Where the others are to reach its etcd.
    pub peer_url: &'a str,
    /// The same in any stage.
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
    /// The data belongs to a member that is no more, or that is removed first.
    Forget {
        remove: Option<String>,
    },
    Wait {
        why: &'static str,
    },
}

/// `seen`: the members as somebody else tells; `None` when nobody answers.
pub fn next_step(own: &Own<'_>, seen: Option<&[EtcdMember]>) -> Step {
    let ours = seen.and_then(|members| members.iter().find(|member| is_ours(own, member)));
    match (own.has_data, seen, ours) {
        // etcd 3.4 takes a learner whose address changes for a voter, and never gives it its vote.
        (true, Some(_), Some(member)) if member.learner && !is_there(own, member) => {
            Step::Forget { remove: Some(member.id.clone()) }
        }
        (true, None, _) | (true, Some(_), Some(_)) => Step::Resume,
        (true, Some(_), None) => Step::Forget { remove: None },
        (false, Some(_), Some(member)) if member.name.is_empty() && is_there(own, member) => Step::Start,
        (false, Some(_), Some(member)) => Step::Join { remove: Some(member.id.clone()) },
        (false, Some(_), None) => Step::Join { remove: None },
        (false, None, _) if own.founder && !own.formed => Step::Found,
        (false, None, _) if own.formed => Step::Wait { why: "no unit of the cluster store answers" },
        (false, None, _) => Step::Wait { why: "the first unit has not begun the cluster yet" },
    }
}

fn is_there(own: &Own<'_>, member: &EtcdMember) -> bool {
    member.peer_urls == [own.peer_url]
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
        let learner = |name: &str, url: &str| EtcdMember { learner: true, ..member(name, url) };
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
            (false,   false,  true,   with(learner("", "http://b:2380")),   Step::Start),
            (false,   false,  true,   with(learner("", "https://b:2381")),  rejoin.clone()),
            (false,   false,  true,   with(member("b", "http://b:2380")),   rejoin),
            (true,    false,  true,   None,                                 Step::Resume),
            (true,    true,   false,  None,                                 Step::Resume),
            (true,    false,  true,   with(member("b", "http://old:2380")), Step::Resume),
            (true,    false,  true,   with(member("", "http://b:2380")),    Step::Resume),
            (true,    false,  true,   with(learner("b", "http://b:2380")),  Step::Resume),
            (true,    false,  true,   with(learner("b", "http://old:2380")), Step::Forget { remove: Some("7".into()) }),
            (true,    false,  true,   with(learner("", "https://b:2381")),  Step::Forget { remove: Some("7".into()) }),
            (true,    false,  true,   Some(others.clone()),                 Step::Forget { remove: None }),
        ];
        for (has_data, founder, formed, seen, want) in table {
            let own = Own { name: "b", peer_url: &urls[0], peer_urls: &urls, has_data, founder, formed };
            assert_eq!(next_step(&own, seen.as_deref()), want, "{has_data} {founder} {formed} {seen:?}");
        }
    }
}
