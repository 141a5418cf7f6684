//! Where the reconciler is on its way through an account's services.

use domain::ids::AccountId;
use domain::round::Round;

use crate::item::Item;
use crate::{Error, Store, keys};

impl Store {
    /// The round that is going on; `None`: there was none yet.
    pub async fn round(&self, account: &AccountId) -> Result<Option<Round>, Error> {
        self.read_data(&keys::round(account)).await
    }

    /// Notes how far a round has come.
    pub async fn put_round(&self, account: &AccountId, round: &Round) -> Result<(), Error> {
        self.put(Item::new(keys::round(account), "round", round)?).await
    }
}
