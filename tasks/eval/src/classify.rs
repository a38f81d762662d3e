//! Metrics of a three-class classifier, as scikit-learn defines them. Pure: labels and probabilities in, numbers out.

use ghtrader_train::models::Probabilities;

/// Probabilities are clipped here before a logarithm.
const CLIP: f64 = 1e-15;

/// A label (0 down, 1 flat, 2 up) and the probabilities that were given.
#[derive(Clone, Copy, Debug)]
pub struct Judged {
    /// The true class.
    pub label: u8,
    /// The forecast.
    pub p: Probabilities,
}

impl Judged {
    /// The class forecast: the first of the largest probabilities.
    pub fn forecast(&self) -> usize {
        let later = |best: usize, class: usize| if self.p[class] > self.p[best] { class } else { best };
        later(later(0, 1), 2)
    }

    /// The largest probability.
    pub fn confidence(&self) -> f64 {
        self.p[self.forecast()]
    }

    /// Whether the forecast is right.
    pub fn right(&self) -> bool {
        self.forecast() == usize::from(self.label)
    }

    /// −ln of the probability of the true class.
    pub fn loss(&self) -> f64 {
        log_loss(self.label, &self.p)
    }
}

/// −ln p of a class, p clipped at 1e-15.
pub fn log_loss(label: u8, p: &Probabilities) -> f64 {
    -libm::log(p[usize::from(label.min(2))].clamp(CLIP, 1.0))
}

/// Counts of (true class, forecast class).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confusion([[f64; 3]; 3]);

impl Confusion {
    /// Counts `rows`.
    pub fn of(rows: &[Judged]) -> Self {
        let mut counts = [[0.0; 3]; 3];
        for row in rows {
            counts[usize::from(row.label.min(2))][row.forecast()] += 1.0;
        }
        Self(counts)
    }

    /// Rows of a true class.
    pub fn labelled(&self, class: usize) -> f64 {
        self.0[class].iter().sum()
    }

    /// Rows with a forecast class.
    pub fn forecast(&self, class: usize) -> f64 {
        self.0.iter().map(|row| row[class]).sum()
    }

    /// All rows.
    pub fn rows(&self) -> f64 {
        self.0.iter().flatten().sum()
    }

    /// Share of right forecasts.
    pub fn accuracy(&self) -> f64 {
        self.hits() / self.rows()
    }

    /// Share of the most frequent class: the accuracy of one who always says it.
    pub fn majority_floor(&self) -> f64 {
        (0..3).map(|class| self.labelled(class)).fold(0.0, f64::max) / self.rows()
    }

    /// F1 averaged over the classes that occur among labels or forecasts.
    pub fn f1_macro(&self) -> f64 {
        let present: Vec<usize> = (0..3).filter(|&c| self.labelled(c) + self.forecast(c) > 0.0).collect();
        present.iter().map(|&class| self.f1(class)).sum::<f64>() / present.len() as f64
    }

    /// F1 weighted by the classes' frequencies.
    pub fn f1_weighted(&self) -> f64 {
        (0..3).map(|class| self.f1(class) * self.labelled(class)).sum::<f64>() / self.rows()
    }

    /// Matthews' correlation coefficient for several classes (Gorodkin 2004); 0 where a margin has one class only.
    pub fn mcc(&self) -> f64 {
        let all = self.rows();
        let sum = |of: &dyn Fn(usize) -> f64| (0..3).map(of).sum::<f64>();
        let joint = sum(&|class| self.labelled(class) * self.forecast(class));
        let forecast = all * all - sum(&|class| self.forecast(class) * self.forecast(class));
        let labelled = all * all - sum(&|class| self.labelled(class) * self.labelled(class));
        if forecast * labelled == 0.0 { 0.0 } else { (self.hits() * all - joint) / libm::sqrt(forecast * labelled) }
    }

    fn hits(&self) -> f64 {
        (0..3).map(|class| self.0[class][class]).sum()
    }

    /// 2·hits / (labelled + forecast); 0 where the class does not occur.
    fn f1(&self, class: usize) -> f64 {
        let both = self.labelled(class) + self.forecast(class);
        if both == 0.0 { 0.0 } else { 2.0 * self.0[class][class] / both }
    }
}

/// Mean of −ln p of the true class.
pub fn mean_loss(rows: &[Judged]) -> f64 {
    rows.iter().map(Judged::loss).sum::<f64>() / rows.len() as f64
}

/// Brier score, mean of Σ (p − y)² over the classes, not halved.
pub fn brier(rows: &[Judged]) -> f64 {
    let one = |row: &Judged| -> f64 {
        let truth = |class: usize| if class == usize::from(row.label) { 1.0 } else { 0.0 };
        row.p.iter().enumerate().map(|(class, p)| (p - truth(class)) * (p - truth(class))).sum()
    };
    rows.iter().map(one).sum::<f64>() / rows.len() as f64
}

#[cfg(test)]
mod tests {
    use super::{Confusion, Judged};

    #[test]
    fn a_forecast_of_one_class_has_the_majority_s_accuracy_and_no_correlation() {
        let row = |label| Judged { label, p: [0.2, 0.6, 0.2] };
        let counts = Confusion::of(&[row(1), row(1), row(0), row(1)]);
        assert_eq!((counts.accuracy(), counts.majority_floor(), counts.mcc()), (0.75, 0.75, 0.0));
        // Class up occurs nowhere and has no say: (0 + 6/7) / 2.
        assert!((counts.f1_macro() - 3.0 / 7.0).abs() < 1e-15);
    }
}
