//! What is owed for a campaign that is another node's now: its owner takes it over, on its own disk, and then it is
//! owed here no more.

use std::sync::Arc;
use std::time::Duration;

use super::owed::{Owed, Paid};
use crate::actors::cluster::links::LinkError;
use crate::actors::flow::auction::Office;
use crate::actors::shield::BudgetName;
use crate::clock;
use crate::models::cluster::member::Route;

const KIND: &str = "flow.notice";
/// How long the owner may take to put it on its disk. One that is silent is asked again: it takes it twice as once.
const PATIENCE: Duration = Duration::from_secs(5);

impl Owed {
    /// When it is to be booked, by what is known of it and not by how often that was tried.
    pub(super) fn books_at(&self, now_us: i64) -> i64 {
        if self.billed || self.late { now_us } else { self.expires_us }
    }
}

impl Office {
    /// Takes over from now on what other nodes owe for campaigns that are here.
    pub fn takes_over(self: &Arc<Office>) {
        let of = Arc::downgrade(self);
        self.shield.placement().links().answer_with(KIND, move |_, owed: Owed| {
            let of = of.clone();
            async move {
                let refused = |why: &str| LinkError::Refused(why.to_owned());
                let office = of.upgrade().ok_or_else(|| refused("the node ends"))?;
                let name = BudgetName::campaign(&owed.account, &owed.campaign);
                if !office.shield.placement().admits(name.place()) {
                    return Err(refused("the campaign is not here"));
                }
                let owed = Owed { due_us: owed.books_at(clock::wall_us()), ..owed };
                let taken = office.put_aside(owed).await;
                taken.map(|_| ()).ok_or_else(|| refused("the disk does not take it"))
            }
        });
    }

    /// Hands it over, or books it where it is to be booked here by now.
    pub(super) async fn pay(&self, owed: &Owed) -> Paid {
        let name = BudgetName::campaign(&owed.account, &owed.campaign);
        let placement = self.shield.placement();
        let now_us = clock::wall_us();
        match placement.route(name.place()) {
            Route::Here(_) if owed.books_at(now_us) > now_us => Paid::Early,
            Route::Here(_) => {
                let paid = owed.book_in_time(self).await;
                // It is done when its record is safe, too: booked again it changes nothing.
                if self.over(owed, paid).await { paid } else { Paid::Later }
            }
            Route::There(node) => {
                let taken = placement.links().ask_for::<Owed, ()>(node, KIND, owed, PATIENCE).await;
                match taken {
                    Ok(()) => Paid::HandedOver,
                    Err(error) => {
                        tracing::debug!(%error, %node, "what is owed for {name} is not handed over yet");
                        Paid::Later
                    }
                }
            }
            Route::Nobody => Paid::Later,
        }
    }
}
