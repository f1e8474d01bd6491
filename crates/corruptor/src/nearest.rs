//! Unknown names: which known one was meant.

/// The known name nearest to `name`, where one is near enough to be meant (Jaro–Winkler ≥ 0.75).
pub fn nearest_name<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate))
        .filter(|(similarity, _)| *similarity >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_and_nothing_far() {
        let known = ["text", "texts", "min_confidence", "max_rounds"];
        assert_eq!(nearest_name("min_confidance", &known), Some("min_confidence"));
        assert_eq!(nearest_name("maxrounds", &known), Some("max_rounds"));
        assert_eq!(nearest_name("zzz", &known), None);
    }
}
