//! "Did you mean shop-api?"

/// At most three of `names` that are like `asked`, the likest first.
pub fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let like = names.filter_map(|name| {
        let away = distance(asked, name);
        let contained = asked.len() >= 2 && (name.contains(asked) || asked.contains(name));
        (contained || away <= 1 + asked.len() / 4).then_some((away, name))
    });
    let mut like: Vec<_> = like.collect();
    like.sort_unstable();
    like.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Levenshtein's: letters to insert, delete or exchange.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let exchange = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchange.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likest_names_come_first() {
        let names = ["shop", "shop-api", "billing", "shpo"];
        assert_eq!(nearest("shop", names.into_iter().skip(1)), ["shpo", "shop-api"]);
        assert_eq!(nearest("biling", names.into_iter()), ["billing"]);
        assert!(nearest("zebra", names.into_iter()).is_empty());
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
