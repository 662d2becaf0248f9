//! The release binary.

use crate::row::Row;

pub fn measure() -> Vec<Row> {
    let program = dinp_tests::dinp();
    let bytes = std::fs::metadata(&program).expect("the binary").len();
    let beside = format!("{bytes} bytes");
    vec![Row { figure: "release binary", at_least: 60.0, aim: 30.0, measured: bytes as f64 / 1e6, unit: "MB", beside }]
}
