//! Countries of ISO 3166-1.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A country by its place in the list of alpha-3 codes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country(u8);

/// Each country's alpha-3 code and its alpha-2 code, sorted by the former.
const CODES: &str = "\
ABWAW AFGAF AGOAO AIAAI ALAAX ALBAL ANDAD AREAE ARGAR ARMAM ASMAS ATAAQ ATFTF ATGAG AUSAU AUTAT \
AZEAZ BDIBI BELBE BENBJ BESBQ BFABF BGDBD BGRBG BHRBH BHSBS BIHBA BLMBL BLRBY BLZBZ BMUBM BOLBO \
BRABR BRBBB BRNBN BTNBT BVTBV BWABW CAFCF CANCA CCKCC CHECH CHLCL CHNCN CIVCI CMRCM CODCD COGCG \
COKCK COLCO COMKM CPVCV CRICR CUBCU CUWCW CXRCX CYMKY CYPCY CZECZ DEUDE DJIDJ DMADM DNKDK DOMDO \
DZADZ ECUEC EGYEG ERIER ESHEH ESPES ESTEE ETHET FINFI FJIFJ FLKFK FRAFR FROFO FSMFM GABGA GBRGB \
GEOGE GGYGG GHAGH GIBGI GINGN GLPGP GMBGM GNBGW GNQGQ GRCGR GRDGD GRLGL GTMGT GUFGF GUMGU GUYGY \
HKGHK HMDHM HNDHN HRVHR HTIHT HUNHU IDNID IMNIM INDIN IOTIO IRLIE IRNIR IRQIQ ISLIS ISRIL ITAIT \
JAMJM JEYJE JORJO JPNJP KAZKZ KENKE KGZKG KHMKH KIRKI KNAKN KORKR KWTKW LAOLA LBNLB LBRLR LBYLY \
LCALC LIELI LKALK LSOLS LTULT LUXLU LVALV MACMO MAFMF MARMA MCOMC MDAMD MDGMG MDVMV MEXMX MHLMH \
MKDMK MLIML MLTMT MMRMM MNEME MNGMN MNPMP MOZMZ MRTMR MSRMS MTQMQ MUSMU MWIMW MYSMY MYTYT NAMNA \
NCLNC NERNE NFKNF NGANG NICNI NIUNU NLDNL NORNO NPLNP NRUNR NZLNZ OMNOM PAKPK PANPA PCNPN PERPE \
PHLPH PLWPW PNGPG POLPL PRIPR PRKKP PRTPT PRYPY PSEPS PYFPF QATQA REURE ROURO RUSRU RWARW SAUSA \
SDNSD SENSN SGPSG SGSGS SHNSH SJMSJ SLBSB SLESL SLVSV SMRSM SOMSO SPMPM SRBRS SSDSS STPST SURSR \
SVKSK SVNSI SWESE SWZSZ SXMSX SYCSC SYRSY TCATC TCDTD TGOTG THATH TJKTJ TKLTK TKMTM TLSTL TONTO \
TTOTT TUNTN TURTR TUVTV TWNTW TZATZ UGAUG UKRUA UMIUM URYUY USAUS UZBUZ VATVA VCTVC VENVE VGBVG \
VIRVI VNMVN VUTVU WLFWF WSMWS YEMYE ZAFZA ZMBZM ZWEZW";

/// Countries there are.
pub const COUNTRIES: usize = CODES.len().div_ceil(6);

/// [`CODES`] as a table: every request names its country.
const TABLE: [([u8; 3], [u8; 2]); COUNTRIES] = {
    let (codes, mut table, mut i) = (CODES.as_bytes(), [([0; 3], [0; 2]); COUNTRIES], 0);
    while i < table.len() {
        let at = 6 * i;
        table[i] = ([codes[at], codes[at + 1], codes[at + 2]], [codes[at + 3], codes[at + 4]]);
        i += 1;
    }
    table
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a country code of ISO 3166-1")]
pub struct UnknownCountry;

impl Country {
    /// From alpha-3 as requests write it, upper case.
    pub fn of_alpha_3(text: &str) -> Option<Country> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        let at = TABLE.binary_search_by_key(&code, |(alpha_3, _)| *alpha_3).ok()?;
        u8::try_from(at).ok().map(Country)
    }

    pub fn of_alpha_2(text: &str) -> Option<Country> {
        let code: [u8; 2] = text.as_bytes().try_into().ok()?;
        let at = TABLE.iter().position(|(_, alpha_2)| *alpha_2 == code)?;
        u8::try_from(at).ok().map(Country)
    }

    /// Its place, below [`COUNTRIES`].
    pub fn place(self) -> usize {
        usize::from(self.0)
    }

    pub fn alpha_3(self) -> &'static str {
        let at = 6 * self.place();
        CODES.get(at..at + 3).unwrap_or("???")
    }

    pub fn alpha_2(self) -> &'static str {
        let at = 6 * self.place();
        CODES.get(at + 3..at + 5).unwrap_or("??")
    }
}

impl FromStr for Country {
    type Err = UnknownCountry;
    /// Alpha-3 or alpha-2, upper case.
    fn from_str(text: &str) -> Result<Country, UnknownCountry> {
        Country::of_alpha_3(text).or_else(|| Country::of_alpha_2(text)).ok_or(UnknownCountry)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpha_3())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpha_3())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.alpha_3())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(|e: UnknownCountry| serde::de::Error::custom(format!("{text:?} {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_is_found_by_both_of_its_codes() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, for the search");
        for i in 0..COUNTRIES {
            let country = Country(i as u8);
            assert_eq!(country.alpha_3().parse(), Ok(country));
            assert_eq!(country.alpha_2().parse(), Ok(country));
        }
        assert_eq!("DE".parse::<Country>().map(Country::alpha_3), Ok("DEU"));
        assert_eq!("AUT".parse::<Country>().map(Country::alpha_2), Ok("AT"));
        for bad in ["", "de", "XXX", "ZZ", "DEUX"] {
            assert_eq!(bad.parse::<Country>(), Err(UnknownCountry), "{bad}");
        }
    }
}
