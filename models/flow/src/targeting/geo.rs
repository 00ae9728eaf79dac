//! Which campaigns are for which places of the world.

use crate::campaign::country::{COUNTRIES, Country};
use crate::campaign::target::Places as Where;

use super::dictionary::lower;
use super::lists::{Places, Set, TextLists, Texts};

/// Places of the world. `any`: as [`super::index::AnyOr`]. `within_*`: campaigns that list a region or a city of a country.
#[derive(Debug)]
pub struct GeoLists {
    pub any: Box<[u64]>,
    pub countries: Places,
    pub regions: Texts,
    pub cities: Texts,
    pub within_regions: Places,
    pub within_cities: Places,
    /// The words of a set in which a country has anybody: of each that is listed, and of all others.
    words: Box<[Option<Box<[u32]>>]>,
    other_words: Box<[u32]>,
}

impl GeoLists {
    pub fn words(&self, country: Option<Country>) -> &[u32] {
        let own = country.and_then(|country| self.words.get(country.place()));
        own.and_then(Option::as_deref).unwrap_or(&self.other_words)
    }

    pub fn bytes(&self) -> usize {
        self.countries.bytes()
            + self.regions.bytes()
            + self.cities.bytes()
            + self.within_regions.bytes()
            + self.within_cities.bytes()
            + self.words.iter().flatten().map(|words| 4 * words.len()).sum::<usize>()
    }

    /// Where a country has anybody.
    fn with_words(mut self) -> GeoLists {
        let words = |set: &[u64]| -> Box<[u32]> {
            (0_u32..).zip(set).filter(|(_, word)| **word != 0).map(|(at, _)| at).collect()
        };
        self.other_words = words(&self.any);
        let one = |country: usize| {
            let lists = [&self.countries, &self.within_regions, &self.within_cities];
            let listed = |lists: &Places| lists.get(country).is_some_and(|it| !it.is_empty());
            if !lists.into_iter().any(listed) {
                return None;
            }
            let mut set = self.any.clone();
            for posting in lists.into_iter().filter_map(|lists| lists.get(country)) {
                posting.add_to(&mut set);
            }
            Some(words(&set))
        };
        self.words = (0..COUNTRIES).map(one).collect();
        self
    }
}

pub(super) struct GeoMaking {
    any: Set,
    countries: Vec<Vec<u32>>,
    regions: TextLists,
    cities: TextLists,
    within_regions: Vec<Vec<u32>>,
    within_cities: Vec<Vec<u32>>,
    text: String,
}

impl GeoMaking {
    pub fn new(n: usize) -> GeoMaking {
        let none = || vec![Vec::new(); COUNTRIES];
        GeoMaking {
            any: Set::of(n),
            countries: none(),
            regions: TextLists::default(),
            cities: TextLists::default(),
            within_regions: none(),
            within_cities: none(),
            text: String::new(),
        }
    }

    pub fn add(&mut self, any: bool, places: &Where, at: u32) {
        let push = |lists: &mut Vec<Vec<u32>>, place: usize| {
            if let Some(list) = lists.get_mut(place)
                && list.last() != Some(&at)
            {
                list.push(at);
            }
        };
        self.any.add_if(any, at);
        places.countries.iter().for_each(|it| push(&mut self.countries, it.place()));
        for it in &places.regions {
            region_key(it.country.alpha_3(), &it.region, &mut self.text);
            self.regions.add(&self.text, at);
            push(&mut self.within_regions, it.country.place());
        }
        for it in &places.cities {
            city_key(it.country.alpha_3(), &it.city, &mut self.text);
            self.cities.add(&self.text, at);
            push(&mut self.within_cities, it.country.place());
        }
    }

    pub fn done(self, n: usize) -> GeoLists {
        let lists = GeoLists {
            any: self.any.0,
            countries: Places::of(self.countries, n),
            regions: self.regions.done(n),
            cities: self.cities.done(n),
            within_regions: Places::of(self.within_regions, n),
            within_cities: Places::of(self.within_cities, n),
            words: Box::default(),
            other_words: Box::default(),
        };
        lists.with_words()
    }
}

/// `USA-CA`.
pub(super) fn region_key(country: &str, region: &str, to: &mut String) {
    to.clear();
    to.extend([country, "-"]);
    to.extend(region.chars().map(|c| c.to_ascii_uppercase()));
}

/// `FRA:paris`.
pub(super) fn city_key(country: &str, city: &str, to: &mut String) {
    to.clear();
    to.extend([country, ":"]);
    lower(city, to);
}
