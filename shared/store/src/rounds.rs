//! Where the reconciler is on its way through an account's services.

use domain::ids::AccountId;
use domain::round::Round;

use crate::item::{Item, or_skip};
use crate::{Error, Store, keys};

impl Store {
    /// The round that is going on; `None`: there was none yet, or it cannot be read and begins anew.
    pub async fn round(&self, account: &AccountId) -> Result<Option<Round>, Error> {
        Ok(or_skip(self.read_data(&keys::round(account)).await)?.flatten())
    }

    /// Notes how far a round has come.
    pub async fn put_round(&self, account: &AccountId, round: &Round) -> Result<(), Error> {
        self.put(Item::new(keys::round(account), "round", round)?).await
    }
}
