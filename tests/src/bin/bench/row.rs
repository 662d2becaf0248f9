//! One line of the table: a figure, what it has to reach, and what it is.

/// A figure is better the lower it is, unless its aim lies above what it has to reach.
#[derive(Debug)]
pub struct Row {
    pub figure: &'static str,
    pub at_least: f64,
    pub aim: f64,
    pub measured: f64,
    pub unit: &'static str,
    /// How it was measured, and what the same run took without us.
    pub beside: String,
}

impl Row {
    fn verdict(&self) -> &'static str {
        let reaches = |bound: f64| if self.aim > self.at_least { self.measured >= bound } else { self.measured <= bound };
        if reaches(self.aim) {
            "aim reached"
        } else if reaches(self.at_least) {
            "at least"
        } else {
            "MISSED"
        }
    }

    fn cells(&self) -> [String; 6] {
        let with_unit = |value: f64| format!("{} {}", short(value), self.unit);
        let (figure, verdict) = (self.figure.to_owned(), self.verdict().to_owned());
        [figure, with_unit(self.at_least), with_unit(self.aim), with_unit(self.measured), verdict, self.beside.clone()]
    }
}

/// As many digits as say something.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Prints a table in Markdown, aligned for people.
pub fn print(rows: &[Row]) {
    let head = ["figure", "at least", "aim", "measured", "", "same run"].map(str::to_owned);
    let cells: Vec<[String; 6]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let widths: Vec<usize> =
        (0..6).map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    println!();
    for (at, row) in cells.iter().enumerate() {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("| {} |", line.join(" | "));
        if at == 0 {
            println!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_by_its_two_bounds() {
        let row = |measured| Row { figure: "f", at_least: 40.0, aim: 15.0, measured, unit: "ms", beside: String::new() };
        assert_eq!([15.0, 15.1, 40.0, 40.1].map(|m| row(m).verdict()), ["aim reached", "at least", "at least", "MISSED"]);
    }

    #[test]
    fn a_rate_is_better_the_higher_it_is() {
        let row = |measured| Row { figure: "f", at_least: 300.0, aim: 1_000.0, measured, unit: "/s", beside: String::new() };
        assert_eq!([1_000.0, 999.0, 300.0, 299.0].map(|m| row(m).verdict()), ["aim reached", "at least", "at least", "MISSED"]);
    }

    #[test]
    fn numbers_have_the_digits_that_count() {
        assert_eq!([0.2, 3.0, 12.34, 151.6, 600.0].map(short), ["0.2", "3", "12.3", "152", "600"]);
    }
}
