//! Dates in file names: `tq_cu2203_20220218.csv`, `2022-02-18.parquet`.

use ghtrader_market::Day;

/// The first and last day that a file name holds; `None` where it holds none.
///
/// A date is eight digits, or `yyyy-mm-dd`, with no digit before or after it.
pub(crate) fn span(name: &str) -> Option<(Day, Day)> {
    let days: Vec<Day> = (0..name.len()).filter_map(|start| day_at(name, start)).collect();
    Some((*days.iter().min()?, *days.iter().max()?))
}

fn day_at(name: &str, start: usize) -> Option<Day> {
    let before = start.checked_sub(1).and_then(|before| name.as_bytes().get(before));
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let of_length = |length: usize| {
        let day: Day = name.get(start..start + length)?.parse().ok()?;
        // Eight digits such as 99999999 are no date, and 00010101 is not one that ticks have.
        let usual = (1980..=2200).contains(&day.date().year());
        (usual && !digit(name.as_bytes().get(start + length))).then_some(day)
    };
    if digit(before) { None } else { of_length(8).or_else(|| of_length(10)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_found_in_names() {
        let text = |name: &str| span(name).map(|(first, last)| format!("{first} {last}"));
        assert_eq!(text("tq_cu2203_20220218.csv").unwrap(), "2022-02-18 2022-02-18");
        assert_eq!(text("2022-02-18.parquet").unwrap(), "2022-02-18 2022-02-18");
        assert_eq!(text("if_hot_20210104_20210118_l1.csv.gz").unwrap(), "2021-01-04 2021-01-18");
        for none in ["cu2203.csv", "tq_20221340.csv", "id_120220218.csv", "202202181.csv", "", "日期.csv"] {
            assert_eq!(text(none), None, "{none}");
        }
    }
}
