//! The classes that occur among the given labels, and rows and labels in terms of these classes alone.

/// The classes that at least one label was given of. The posterior considers no others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PresentClasses {
    /// Ascending.
    pub(super) classes: Vec<usize>,
    /// Each class's share of the given labels; sums to 1.
    pub(super) shares: Vec<f64>,
}

impl PresentClasses {
    pub(super) fn of(given: &[usize], classes: usize) -> Self {
        let mut counts = vec![0_usize; classes];
        given.iter().for_each(|&label| counts[label] += 1);
        let classes: Vec<usize> = (0..classes).filter(|&class| counts[class] > 0).collect();
        let shares = classes.iter().map(|&class| counts[class] as f64 / given.len() as f64).collect();
        Self { classes, shares }
    }

    /// From rows of all classes, the columns of these classes.
    pub(super) fn narrow(&self, rows: &[f32], all: usize) -> Vec<f32> {
        rows.chunks(all.max(1)).flat_map(|row| self.classes.iter().map(|&class| row[class])).collect()
    }

    /// The inverse of [`PresentClasses::narrow`], with 0 for the classes that were left out.
    pub(super) fn widen(&self, rows: &[f64], all: usize) -> Vec<f64> {
        let present = self.classes.len().max(1);
        let mut wide = vec![0.0; rows.len() / present * all];
        for (row, wide) in rows.chunks(present).zip(wide.chunks_mut(all.max(1))) {
            self.classes.iter().zip(row).for_each(|(&class, &p)| wide[class] = p);
        }
        wide
    }

    /// Labels as positions among these classes.
    pub(super) fn places(&self, given: &[usize]) -> Vec<usize> {
        given.iter().map(|label| self.classes.partition_point(|class| class < label)).collect()
    }
}
