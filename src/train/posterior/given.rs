//! Which classes the given labels are of, and which classes no label is of.

/// The classes that at least one label was given of. The posterior reckons with no others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    /// In order.
    pub(super) classes: Vec<usize>,
    /// The share of the labels that each of them has; sums to 1.
    pub(super) shares: Vec<f64>,
}

impl Given {
    pub(super) fn of(given: &[usize], classes: usize) -> Self {
        let mut counts = vec![0_usize; classes];
        given.iter().for_each(|&label| counts[label] += 1);
        let classes: Vec<usize> = (0..classes).filter(|&class| counts[class] > 0).collect();
        let shares = classes.iter().map(|&class| counts[class] as f64 / given.len() as f64).collect();
        Self { classes, shares }
    }

    /// From rows of all classes, rows of these classes alone.
    pub(super) fn narrow(&self, rows: &[f32], all: usize) -> Vec<f32> {
        rows.chunks(all.max(1)).flat_map(|row| self.classes.iter().map(|&class| row[class])).collect()
    }

    /// Rows of all classes, with zeros for those that are left out.
    pub(super) fn widen(&self, rows: &[f64], all: usize) -> Vec<f64> {
        let seen = self.classes.len().max(1);
        let mut wide = vec![0.0; rows.len() / seen * all];
        for (row, wide) in rows.chunks(seen).zip(wide.chunks_mut(all.max(1))) {
            self.classes.iter().zip(row).for_each(|(&class, &p)| wide[class] = p);
        }
        wide
    }

    /// Labels as places among these classes.
    pub(super) fn places(&self, given: &[usize]) -> Vec<usize> {
        given.iter().map(|label| self.classes.partition_point(|class| class < label)).collect()
    }
}
