//! Whose account it is: recorded at the first start, and compared from then on.
//!
//! The provider refuses to sign with a key of a known other account; here it is told which account is
//! meant. Where it cannot be found out whose a key is, work goes on.

use super::world::World;
use super::{Executor, TickError};
use crate::model::{Account, AccountEvent, AccountId};

/// Has the provider keep to the account that is recorded, or records it. A key that was changed while
/// launches waited for one is taken up, and recorded.
pub(super) async fn compared(
    world: &World,
    id: &AccountId,
    known: &Account,
    identity: &Option<String>,
) -> Result<(), TickError> {
    let account = world.accounts.get(id).expect("fleets name configured accounts");
    let cloud = account.region.cloud();
    if let Some(identity) = identity {
        cloud.expect_account(identity);
    }
    // The first call that needs a key says why there is none.
    let Ok(signer) = cloud.signer(known.waits_for_a_key()).await else { return Ok(()) };
    if identity.is_some() && signer.account.is_some() && signer.account != *identity {
        return Ok(());
    }
    let at = world.clock.now();
    let mut facts = Vec::new();
    if let (None, Some(found)) = (identity, signer.account) {
        cloud.expect_account(&found);
        facts.push(AccountEvent::Identified { at, account: found });
    }
    if let Some(key) = signer.key
        && account.is_other_key(&key)
        && known.key.as_ref() != Some(&key)
    {
        facts.push(AccountEvent::KeyChanged { at, key });
    }
    if matches!(account.executor, Executor::Live(_)) {
        world.journal.note(id, &facts).await?;
    }
    Ok(())
}
