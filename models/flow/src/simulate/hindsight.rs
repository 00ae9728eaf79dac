//! What could have been had, by one who knew all prices.

use crate::landscape::Sale;

/// The optimum in hindsight: the fractional knapsack, filled by value for the price. No bidder of either price
/// type can have more value for the budget, as every winner pays the market price or more.
pub(super) struct Optimum {
    pub value: f64,
    pub spend: f64,
    pub wins: f64,
    /// What all auctions with a value cost together.
    pub market: f64,
    /// Price for a unit of value at which the budget ends: auctions below it are bought, those above not,
    /// those at it in part.
    price_per_value: f64,
    part: f64,
}

impl Optimum {
    /// The optimum of these auctions under a budget in micros.
    pub fn of(sales: &[Sale], budget: f64) -> Optimum {
        let valued = sales.iter().filter(|sale| sale.value > 0.0);
        let priced = valued.map(|sale| (per_value(sale), sale.value, sale.market_price.0 as f64));
        let mut order: Vec<(f64, f64, f64)> = priced.collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let market = order.iter().map(|(_, _, price)| price).sum();
        let mut optimum = Optimum {
            value: 0.0,
            spend: 0.0,
            wins: 0.0,
            market,
            price_per_value: f64::INFINITY,
            part: 1.0,
        };
        for alike in order.chunk_by(|a, b| a.0 == b.0) {
            // Auctions that are as good as each other are bought in equal parts.
            let cost: f64 = alike.iter().map(|(_, _, price)| price).sum();
            let left = budget - optimum.spend;
            let part = if cost > left { (left / cost).max(0.0) } else { 1.0 };
            optimum.spend += part * cost;
            optimum.value += part * alike.iter().map(|(_, value, _)| value).sum::<f64>();
            optimum.wins += part * alike.len() as f64;
            if part < 1.0 {
                optimum.price_per_value = alike.first().map_or(0.0, |first| first.0);
                optimum.part = part;
                break;
            }
        }
        optimum
    }

    /// What it spends on an auction.
    pub fn spends(&self, sale: &Sale) -> f64 {
        let price = sale.market_price.0 as f64;
        match per_value(sale) {
            _ if sale.value <= 0.0 => 0.0,
            at if at < self.price_per_value => price,
            at if at == self.price_per_value => self.part * price,
            _ => 0.0,
        }
    }
}

fn per_value(sale: &Sale) -> f64 {
    sale.market_price.0 as f64 / sale.value
}

/// The most value that a bidder who pays its bids has with one multiplier for the whole log, the best for the
/// budget: bids of `a · value` with the largest a that the budget pays for. What a first-price bidder without
/// knowledge of single prices can measure itself by.
pub(super) fn uniform(sales: &[Sale], budget: f64) -> f64 {
    let valued = sales.iter().filter(|sale| sale.value > 0.0);
    let mut order: Vec<(f64, f64)> = valued.map(|sale| (per_value(sale), sale.value)).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut value, mut best) = (0.0, 0.0);
    for (multiplier, more) in order {
        value += more;
        // All that are won pay the multiplier of the last one.
        if multiplier * value <= budget {
            best = value;
        }
    }
    best
}
