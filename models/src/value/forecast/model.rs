//! A fitted model of value, of any kind.

use super::account::{Account, Cuts, Known, until};
use super::answer::{Forecast, Status};
use super::blended::{Answer, Blended};
use super::customer::{Customer, Input, summary};
use super::features::{self, Feature};
use super::hint::Hint;
use super::level::{Levels, speaks_of};
use super::prior::Prior;
use super::probable::{Case, Fitted, Probable, fulls, weeks};
use super::rolling;
use super::terms::{FitError, FitReport, FitTerms, HORIZON_DAYS_MAX, Step};
use crate::value::clv::{Discount, PERIODS_MAX, Terms, discounted};
use crate::value::history::Horizon;
use crate::value::log::day::Day;
use crate::value::registry::version::Kind;

/// Weeks of a year, the period of a discount.
const YEAR_WEEKS: f64 = 365.25 / 7.0;

/// A fitted model. Answers are finite for every input.
#[derive(Debug)]
pub struct ValueModel {
    pub(super) kind: Kind,
    pub(super) cut: Day,
    pub(super) horizon_days: u32,
    pub(super) probable: Probable,
    pub(super) levels: Levels,
    pub(super) prior: Prior,
    pub(super) blended: Option<Blended>,
    pub(super) features: Vec<Feature>,
}

/// What was known of each customer, for a fit.
pub type Accounts = Vec<(Box<str>, Known)>;

/// The horizon within its bounds.
fn bounded(horizon_days: u32) -> u32 {
    horizon_days.clamp(1, HORIZON_DAYS_MAX)
}

impl ValueModel {
    /// Fits on what is known up to the cut. The watcher is told of every step.
    ///
    /// # Errors
    /// A horizon out of bounds, no purchases up to the cut, parameters that cannot be found.
    pub fn fit(
        customers: &[Customer],
        terms: &FitTerms,
        watch: &mut dyn FnMut(Step),
    ) -> Result<(ValueModel, FitReport), FitError> {
        let first = customers.iter().filter_map(|c| c.purchases.first()).map(|p| p.day).min();
        let cuts =
            Cuts::new(first.ok_or(FitError::Empty(terms.cut))?, terms.cut, terms.horizon_days);
        let mut accounts = Accounts::new();
        for customer in customers {
            let account = Account::new(cuts).and_then(|mut account| {
                customer.purchases.iter().try_for_each(|p| account.add(p.day, p.micros)).ok()?;
                account.known()
            });
            accounts.extend(account.map(|known| (customer.id.clone(), known)));
        }
        let learned = matches!(terms.kind, Kind::Blend | Kind::Ziln);
        let part = if learned { 0.05 } else { 1.0 };
        let (mut model, mut report) =
            ValueModel::fit_accounts(accounts, cuts, terms, &mut |step| {
                watch(Step { done: step.done * part, ..step });
            })?;
        if learned {
            let blend = rolling::fit(customers, cuts.inner, terms, &mut |step| {
                watch(Step { done: part + step.done * (1.0 - part), ..step });
            });
            match blend {
                Ok((blended, rows)) => {
                    report.weight = (terms.kind == Kind::Blend).then(|| blended.fitting.weight());
                    report.ratio = Some(blended.fitting.ratio());
                    report.calibrated_on = rows;
                    model.blended = Some(blended);
                }
                Err(why) => {
                    report.notes.push(format!("{why}: the probabilistic model answers"));
                }
            }
            watch(Step { what: "done", done: 1.0 });
        }
        model.features = customers_features(customers, terms.cut);
        Ok((model, report))
    }

    /// The probabilistic part of a fit, from what constant memory per customer keeps. All there is of the
    /// kinds that learn nothing; drift has no reference then ([`ValueModel::features`] is empty).
    pub fn fit_accounts(
        mut accounts: Accounts,
        cuts: Cuts,
        terms: &FitTerms,
        watch: &mut dyn FnMut(Step),
    ) -> Result<(ValueModel, FitReport), FitError> {
        if !(1..=HORIZON_DAYS_MAX).contains(&terms.horizon_days) {
            return Err(FitError::Horizon(terms.horizon_days));
        }
        if accounts.is_empty() {
            return Err(FitError::Empty(terms.cut));
        }
        accounts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        watch(Step { what: "parameters", done: 0.0 });
        let Fitted { model, parts, note } =
            Probable::fit(terms.kind, fulls(&accounts), terms.rounded)?;
        watch(Step { what: "intervals", done: 0.5 });
        let days = cuts.inner.map_or(terms.horizon_days, |inner| inner.days);
        let levels = levels(&accounts, cuts, terms);
        let prior = Prior::fit(&model, &accounts, days);
        watch(Step { what: "done", done: 1.0 });
        let mut notes: Vec<String> = note.map(str::to_owned).into_iter().collect();
        notes.extend(no_confidence(cuts, terms.horizon_days));
        let again = accounts.iter().filter(|(_, known)| known.full.history.repeats() > 0);
        let report = FitReport {
            customers: accounts.len() as u64,
            repeaters: again.count() as u64,
            parts,
            calibrated_on: levels.rows(),
            notes,
            ..FitReport::default()
        };
        let model = ValueModel {
            kind: terms.kind,
            cut: terms.cut,
            horizon_days: terms.horizon_days,
            probable: model,
            levels,
            prior,
            blended: None,
            features: Vec::new(),
        };
        Ok((model, report))
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The last day that was known at the fit.
    pub fn cut(&self) -> Day {
        self.cut
    }

    /// The horizon that it was fitted for.
    pub fn horizon_days(&self) -> u32 {
        self.horizon_days
    }

    /// The counting model and amounts within.
    pub fn probable(&self) -> &Probable {
        &self.probable
    }

    fn case(input: &Input<'_>) -> Option<Case> {
        Some(Case::of(&summary(input.known(), until(input.as_of)?)?))
    }

    /// One answer per input, in their order, without contributions. A horizon is brought within 1 day to ten
    /// years; who is not known at the day of the question gets [`ValueModel::prior`].
    pub fn predict(&self, inputs: &[Input<'_>], horizon_days: u32) -> Vec<Forecast> {
        let days = bounded(horizon_days);
        let cases: Vec<Option<Case>> = inputs.iter().map(ValueModel::case).collect();
        let answers: Vec<Answer> = match &self.blended {
            None => cases.iter().flatten().map(|case| self.answer(case, days)).collect(),
            Some(blended) => {
                let known = inputs.iter().zip(&cases);
                let known: Vec<Input<'_>> =
                    known.filter_map(|(input, case)| case.is_some().then_some(*input)).collect();
                let said = blended.nets.ask(&known).into_iter();
                let answer = |(case, said): (&Case, _)| {
                    blended.fitting.answer(&self.probable, case, said, days)
                };
                cases.iter().flatten().zip(said).map(answer).collect()
            }
        };
        let mut answers = answers.into_iter();
        let forecast = |case: &Option<Case>| match case.as_ref().and_then(|_| answers.next()) {
            Some(answer) => told(answer),
            None => Forecast { contributions: Vec::new(), ..self.prior(&Hint::NONE, days) },
        };
        cases.iter().map(forecast).collect()
    }

    fn answer(&self, case: &Case, days: u32) -> Answer {
        let ahead = weeks(days);
        let (level, confidence) = self.levels.of(case.history.repeats(), days);
        let (lower, upper) = self.probable.interval(case, ahead, level);
        Answer {
            value: self.probable.value(case, ahead),
            lower,
            upper,
            confidence,
            purchases: self.probable.purchases(case, ahead),
            p_active: self.probable.p_active(case, ahead),
        }
    }

    /// The same of one, with contributions: Shapley's values of the customer's inputs against the population's
    /// typical customer ([`Probable::explain`], [`Blended::explain`]). They add up within 1e-6 of the value or
    /// of a millionth of it, whichever is more.
    pub fn explain(&self, input: &Input<'_>, horizon_days: u32) -> Forecast {
        let days = bounded(horizon_days);
        let Some(case) = ValueModel::case(input) else { return self.prior(&Hint::NONE, days) };
        let mut forecasts = self.predict(std::slice::from_ref(input), days);
        let Some(forecast) = forecasts.pop() else { return self.prior(&Hint::NONE, days) };
        let (baseline, contributions) = match &self.blended {
            None => self.probable.explain(&case, weeks(days)),
            Some(blended) => blended.explain(&self.probable, &case, input, days),
        };
        Forecast { baseline, contributions, ..forecast }
    }

    /// Of somebody of whom no purchases are known, with contributions.
    pub fn prior(&self, hint: &Hint, horizon_days: u32) -> Forecast {
        self.prior.forecast(&self.probable, hint, bounded(horizon_days))
    }

    /// What a forecast's value is worth now, in units of the currency: `margin` (0 to 1) of it, discounted by
    /// `annual_rate` (0 and more) as purchases come over the horizon. A rate or margin that is none counts as
    /// 0 and 1.
    pub fn discounted(
        &self,
        input: &Input<'_>,
        forecast: &Forecast,
        horizon_days: u32,
        annual_rate: f64,
        margin: f64,
    ) -> f64 {
        let case = ValueModel::case(input).unwrap_or(Case::NEW);
        let ahead = weeks(bounded(horizon_days));
        let margin = if (0.0..=1.0).contains(&margin) { margin } else { 1.0 };
        let rate = if (0.0..=100.0).contains(&annual_rate) { annual_rate } else { 0.0 };
        let week = Discount::Continuous(rate.ln_1p() / YEAR_WEEKS);
        let all = self.probable.purchases(&case, ahead);
        let period = (ahead.time() / PERIODS_MAX).max(1.0).min(ahead.time());
        let now = Terms::new(ahead, period, week, 1.0)
            .map(|terms| discounted(self.probable.counting(), &case.history, &terms));
        let part = now.ok().filter(|_| all > 0.0).map_or(1.0, |now| (now / all).clamp(0.0, 1.0));
        forecast.value * part * margin
    }

    /// What is expected until the end of each period of `period_days`, as parts of `forecast.value`: how
    /// purchases spread over the horizon is the counting model's matter.
    pub fn path(&self, input: &Input<'_>, forecast: &Forecast, periods: &[u32]) -> Vec<f64> {
        let case = ValueModel::case(input).unwrap_or(Case::NEW);
        let last = periods.last().copied().unwrap_or(1);
        let all = self.probable.purchases(&case, weeks(bounded(last)));
        let part = |days: u32| {
            let until = Horizon::new(f64::from(days) / 7.0).unwrap_or(weeks(1));
            let part = self.probable.purchases(&case, until) / all;
            if part.is_finite() { part.min(1.0) } else { f64::from(days) / f64::from(last.max(1)) }
        };
        periods.iter().map(|days| part(*days) * forecast.value).collect()
    }

    /// What was seen of each input at the fit (at most 1,000 values each), to compare with what comes later.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The same inputs of one customer, in the order of [`features::NAMES`]; empty of who is not known.
    pub fn feature_values(&self, input: &Input<'_>) -> Vec<f64> {
        features::of(input.known(), input.as_of).map(Vec::from).unwrap_or_default()
    }
}

/// Says so where nobody will know what intervals hold.
fn no_confidence(cuts: Cuts, horizon_days: u32) -> Option<String> {
    let why = match cuts.inner {
        None => "there is too little time before the cut for a holdout".to_owned(),
        Some(inner) if !speaks_of(inner.days, horizon_days) => {
            format!("the holdout before the cut is {} days long", inner.days)
        }
        Some(_) => return None,
    };
    Some(format!(
        "{why}: what intervals hold for {horizon_days} days is not known, and confidence is 0"
    ))
}

fn told(answer: Answer) -> Forecast {
    Forecast {
        value: answer.value,
        lower: answer.lower,
        upper: answer.upper,
        confidence: answer.confidence,
        purchases: answer.purchases,
        p_active: answer.p_active,
        status: Status::Success,
        baseline: answer.value,
        contributions: Vec::new(),
    }
}

/// What intervals hold is learned on the inner holdout, of a model that has not seen it. Where none can be fitted
/// there, nobody knows.
fn levels(accounts: &[(Box<str>, Known)], cuts: Cuts, terms: &FitTerms) -> Levels {
    let Some(inner) = cuts.inner else { return Levels::default() };
    let before = accounts.iter().filter_map(|(_, known)| known.inner.as_ref());
    match Probable::fit(terms.kind, before, terms.rounded) {
        Ok(fitted) => Levels::fit(&fitted.model, accounts, inner.days),
        Err(_) => Levels::default(),
    }
}

fn customers_features(customers: &[Customer], cut: Day) -> Vec<Feature> {
    let mut columns: [Vec<f64>; 5] = Default::default();
    for customer in customers {
        let known = Input { purchases: &customer.purchases, as_of: cut }.known();
        for (column, value) in
            columns.iter_mut().zip(features::of(known, cut).into_iter().flatten())
        {
            column.push(value);
        }
    }
    features::kept(columns)
}
