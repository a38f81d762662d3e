//! L-BFGS (Nocedal & Wright, *Numerical Optimization*, 2nd ed., algorithm 7.4 and 7.5) with backtracking to the Armijo
//! condition: enough for a smooth convex function, and every sum in a fixed order.

/// Pairs of steps and gradient changes remembered.
const MEMORY: usize = 10;
/// A step is accepted when it brings this share of what the slope promises.
const ARMIJO: f64 = 1e-4;
/// Halvings of a step before the search gives up: what is left is rounding.
const MAX_HALVINGS: u32 = 40;

/// When to stop.
pub(super) struct Options {
    /// At a gradient whose entries are all at most this.
    pub(super) tolerance: f64,
    /// After so many iterations.
    pub(super) max_iterations: u32,
}

/// Where the search ended.
pub(super) struct Minimum {
    pub(super) at: Vec<f64>,
    pub(super) iterations: u32,
    pub(super) converged: bool,
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 / (step · change)
    rho: f64,
}

/// Minimises `function`, which gives its value at a point and writes its gradient.
pub(super) fn minimise(
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
    start: Vec<f64>,
    options: &Options,
) -> Minimum {
    let mut at = start;
    let mut gradient = vec![0.0; at.len()];
    let mut value = function(&at, &mut gradient);
    let mut pairs: Vec<Pair> = Vec::new();
    for iterations in 0..options.max_iterations {
        if largest(&gradient) <= options.tolerance {
            return Minimum { at, iterations, converged: true };
        }
        let direction = direction(&gradient, &pairs);
        let slope = dot(&gradient, &direction);
        // Without curvature pairs the length of the gradient says nothing of the distance.
        let mut length = if pairs.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let mut next_gradient = vec![0.0; at.len()];
        let mut found = None;
        for _ in 0..MAX_HALVINGS {
            let next: Vec<f64> = at.iter().zip(&direction).map(|(from, way)| from + length * way).collect();
            let next_value = function(&next, &mut next_gradient);
            if next_value <= value + ARMIJO * length * slope {
                found = Some((next, next_value));
                break;
            }
            length *= 0.5;
        }
        let Some((next, next_value)) = found else {
            return Minimum { at, iterations, converged: false };
        };
        remember(&mut pairs, difference(&next, &at), difference(&next_gradient, &gradient));
        (at, value, gradient) = (next, next_value, next_gradient);
    }
    let converged = largest(&gradient) <= options.tolerance;
    Minimum { at, iterations: options.max_iterations, converged }
}

/// The two-loop recursion: minus the approximate inverse Hessian times the gradient.
fn direction(gradient: &[f64], pairs: &[Pair]) -> Vec<f64> {
    let mut way: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let share = pair.rho * dot(&pair.step, &way);
        add(&mut way, -share, &pair.change);
        shares.push(share);
    }
    if let Some(last) = pairs.last() {
        let scale = 1.0 / (last.rho * dot(&last.change, &last.change));
        way.iter_mut().for_each(|entry| *entry *= scale);
    }
    for (pair, share) in pairs.iter().zip(shares.into_iter().rev()) {
        let back = pair.rho * dot(&pair.change, &way);
        add(&mut way, share - back, &pair.step);
    }
    way
}

fn remember(pairs: &mut Vec<Pair>, step: Vec<f64>, change: Vec<f64>) {
    let curvature = dot(&step, &change);
    // Without positive curvature the next direction might not go down.
    if curvature <= f64::EPSILON * dot(&change, &change) {
        return;
    }
    if pairs.len() == MEMORY {
        pairs.remove(0);
    }
    pairs.push(Pair { step, change, rho: 1.0 / curvature });
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    for (entry, value) in to.iter_mut().zip(what) {
        *entry += factor * value;
    }
}

fn difference(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| left - right).collect()
}

fn largest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |largest, entry| largest.max(entry.abs()))
}

#[cfg(test)]
mod tests {
    use super::{Options, minimise};

    #[test]
    fn an_ill_conditioned_quadratic() {
        let scales = [1.0, 10.0, 100.0, 1000.0];
        let quadratic = |at: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            for (index, scale) in scales.iter().enumerate() {
                let off = at[index] - index as f64;
                gradient[index] = scale * off;
                value += 0.5 * scale * off * off;
            }
            value
        };
        let found = minimise(quadratic, vec![5.0; 4], &Options { tolerance: 1e-9, max_iterations: 100 });
        assert!(found.converged && found.iterations < 60, "{} iterations", found.iterations);
        assert!(found.at.iter().enumerate().all(|(index, entry)| (entry - index as f64).abs() < 1e-8));
    }

    #[test]
    fn too_few_iterations_are_no_convergence() {
        let bowl = |at: &[f64], gradient: &mut [f64]| {
            gradient[0] = 4.0 * at[0].powi(3);
            at[0].powi(4)
        };
        assert!(!minimise(bowl, vec![3.0], &Options { tolerance: 1e-12, max_iterations: 2 }).converged);
    }
}
