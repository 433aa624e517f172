//! The permissions of these credentials, asked without doing anything.

use cloud::{Class, Error, InstanceId, Tags, Terminate};

use super::{Ecs, end, tag};
use crate::call::CallAccess;
use crate::rpc::Params;

/// An instance that does not exist: ids are made of letters and digits at random. Who may change
/// only tagged instances is refused for it; who may change all is told that it is not there.
const NOBODY: &str = "i-00000000000000000000";

/// Asks with DryRun; `Force` is left off, so that even a request that was carried out could not end
/// a running instance.
pub(super) async fn end(ecs: &Ecs, id: &InstanceId, how: Terminate) -> Result<(), Error> {
    let ids = std::slice::from_ref(id);
    if how == Terminate::StopThenDelete {
        permitted(ecs.probe("StopInstances", end::stop_params(ecs, ids)).await)?;
    }
    permitted(ecs.probe("DeleteInstances", delete(ecs, ids)).await)
}

fn delete(ecs: &Ecs, ids: &[InstanceId]) -> Params {
    // Each question is a new one: the refusal of an earlier one may be remembered by its token.
    let token = uuid::Uuid::new_v4().to_string();
    end::delete_params(ecs, ids, Terminate::StopThenDelete, &token)
}

/// A refusal because of the instance's state comes after the question of permission.
fn permitted(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(error) if error.class == Class::Conflict => Ok(()),
        answer => answer,
    }
}

pub(super) async fn excess(ecs: &Ecs) -> Result<Vec<&'static str>, Error> {
    let ids = [InstanceId(NOBODY.to_owned())];
    let tags: Tags = [("scale-source".to_owned(), "auto".to_owned())].into();
    let mut found = Vec::new();
    let answers = [
        ("delete", ecs.probe("DeleteInstances", delete(ecs, &ids)).await),
        ("stop", ecs.probe("StopInstances", end::stop_params(ecs, &ids)).await),
        ("start", ecs.probe("StartInstances", end::start_params(ecs, &ids)).await),
        // This action has no DryRun.
        ("tag", {
            let params = tag::params(ecs, &ids, &tags);
            ecs.caller.call("TagResources", CallAccess::Read, &params).await.map(drop)
        }),
    ];
    for (what, answer) in answers {
        match answer {
            Ok(()) => found.push(what),
            Err(error) => match error.class {
                Class::Gone | Class::Conflict | Class::Permanent => found.push(what),
                Class::Auth => {}
                _ => return Err(error),
            },
        }
    }
    Ok(found)
}
