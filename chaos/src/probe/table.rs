//! The table for people.

use super::Capability;

/// One line for each, in columns.
pub fn table(rows: &[Capability]) -> String {
    let width =
        rows.iter().map(|row| row.name.len()).max().unwrap_or_default().max("CAPABILITY".len());
    let mut out = format!("{:<width$}  HERE  MISSING, AND WHAT IS DONE INSTEAD\n", "CAPABILITY");
    for row in rows {
        if row.possible {
            out += &format!("{:<width$}  yes\n", row.name);
            continue;
        }
        let package = row.package.map(|it| format!(" (apt-get install {it})")).unwrap_or_default();
        out += &format!(
            "{:<width$}  no    {}{package}; instead: {}\n",
            row.name, row.missing, row.instead
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_its_package_and_its_substitute() {
        let row = |name, missing: &str, package| Capability {
            name,
            possible: missing.is_empty(),
            missing: missing.to_owned(),
            package,
            instead: "the relay",
        };
        let rows = [
            row("root", "", None),
            row("tc netem", "not in the kernel", None),
            row("nft", "no nft", Some("nftables")),
        ];
        assert_eq!(
            table(&rows),
            "CAPABILITY  HERE  MISSING, AND WHAT IS DONE INSTEAD\n\
             root        yes\n\
             tc netem    no    not in the kernel; instead: the relay\n\
             nft         no    no nft (apt-get install nftables); instead: the relay\n"
        );
    }
}
