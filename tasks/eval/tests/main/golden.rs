//! The calibration golden: 2000 forecasts judged by scikit-learn 1.9.1 (golden.json, `calibration`).
//!
//! Its input is one splitmix64 stream of seed 7; a row draws three normals z and a uniform u. The forecast is
//! softmax(1.2 z), the label is drawn with u from softmax(0.84 z): a forecaster who is too sure.

use ghtrader_eval::calibration::{bins, ece, mce};
use ghtrader_eval::classify::{Confusion, Judged, brier, mean_loss};
use ghtrader_train::random::SplitMix64;

fn softmax(z: &[f64; 3], scale: f64) -> [f64; 3] {
    let powers = z.map(|z| (scale * z).exp());
    powers.map(|power| power / powers.iter().sum::<f64>())
}

fn forecasts() -> Vec<Judged> {
    let mut draw = SplitMix64::new(7);
    let mut one = || {
        let z = [draw.normal(), draw.normal(), draw.normal()];
        let (truth, u) = (softmax(&z, 0.84), draw.uniform());
        let label = u8::from(u >= truth[0]) + u8::from(u >= truth[0] + truth[1]);
        Judged { label, p: softmax(&z, 1.2) }
    };
    (0..2000).map(|_| one()).collect()
}

fn near(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-12, "{left} is not {right}");
}

#[test]
fn classification() {
    let rows = forecasts();
    let counts = Confusion::of(&rows);
    near(counts.accuracy(), 0.576);
    near(counts.f1_macro(), 0.575_756_396_959_809_1);
    near(counts.f1_weighted(), 0.575_814_419_344_274_8);
    near(counts.mcc(), 0.363_813_702_976_103_05);
    near(mean_loss(&rows), 0.921_124_353_999_857_9);
    near(brier(&rows), 0.547_776_982_641_024_3);
}

#[test]
fn calibration() {
    let bins = bins(&forecasts());
    near(ece(&bins), 0.061_829_161_614_705_12);
    near(mce(&bins), 0.129_107_168_987_450_12);
    let counts: Vec<_> = bins.iter().map(|bin| (bin.bin, bin.rows)).collect();
    let expected =
        [(5, 66), (6, 210), (7, 339), (8, 283), (9, 279), (10, 241), (11, 230), (12, 168), (13, 134), (14, 50)];
    assert_eq!(counts, expected);
    near(bins[0].confidence, 0.377_997_251_806_058_37);
    near(bins[0].accuracy, 0.378_787_878_787_878_8);
    near(bins[9].confidence, 0.955_858_605_177_660_6);
    near(bins[9].accuracy, 0.9);
}
