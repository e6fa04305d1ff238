//! Sums of the first so many of a row of numbers, of which one may change, at the cost of a few steps each: a Fenwick
//! tree. It says in which bucket of a large swarm the peer of a drawn number stands.

/// A row of numbers.
#[derive(Debug, Default)]
pub(super) struct Fenwick {
    /// `sums[i]` is the sum of the numbers `i - (lowest bit of i + 1) + 1 ..= i`, with `i` counted from 1 in that bit.
    sums: Vec<u32>,
}

/// The lowest bit that is set.
const fn lowest_bit(number: usize) -> usize {
    number & number.wrapping_neg()
}

impl Fenwick {
    /// Bytes of memory behind the value itself.
    pub(super) fn memory(&self) -> usize {
        self.sums.capacity() * size_of::<u32>()
    }

    /// Appends a number.
    pub(super) fn push(&mut self, number: u32) {
        let place = self.sums.len() + 1;
        let from = place - lowest_bit(place);
        let sum = self.sum_of_first(place - 1) - self.sum_of_first(from) + number;
        self.sums.push(sum);
    }

    /// Removes the last number.
    pub(super) fn pop(&mut self) {
        self.sums.pop();
        if self.sums.capacity() > 64 && self.sums.len() * 4 < self.sums.capacity() {
            self.sums.shrink_to(self.sums.len() * 2);
        }
    }

    /// Changes the number at `position` from `before` to `after`.
    pub(super) fn change(&mut self, position: usize, before: u32, after: u32) {
        if before == after {
            return;
        }
        let difference = after.wrapping_sub(before);
        let mut place = position + 1;
        while let Some(sum) = self.sums.get_mut(place - 1) {
            *sum = sum.wrapping_add(difference);
            place += lowest_bit(place);
        }
    }

    /// The sum of the first `count` numbers.
    pub(super) fn sum_of_first(&self, count: usize) -> u32 {
        let (mut place, mut sum) = (count, 0_u32);
        while place > 0 {
            sum = sum.wrapping_add(self.sums[place - 1]);
            place -= lowest_bit(place);
        }
        sum
    }

    /// The position of the number that brings the sum above `rank`, and how much of `rank` is left there. `rank` is
    /// below the sum of all.
    pub(super) fn find(&self, rank: u32) -> (usize, u32) {
        let (mut before, mut left) = (0, rank);
        let mut stride = (self.sums.len() + 1).next_power_of_two() / 2;
        while stride > 0 {
            if let Some(sum) = self.sums.get(before + stride - 1)
                && *sum <= left
            {
                left -= sum;
                before += stride;
            }
            stride /= 2;
        }
        (before, left)
    }
}

#[cfg(test)]
mod tests {
    use super::Fenwick;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn sums_are_those_of_a_plain_row(
            steps in proptest::collection::vec((0..4_u8, any::<usize>(), 0..5_u32), 0..200),
        ) {
            let (mut tree, mut row) = (Fenwick::default(), Vec::new());
            for (kind, position, number) in steps {
                match kind {
                    0 => {
                        tree.pop();
                        row.pop();
                    }
                    1 | 2 => {
                        tree.push(number);
                        row.push(number);
                    }
                    _ if row.is_empty() => {}
                    _ => {
                        let position = position % row.len();
                        tree.change(position, row[position], number);
                        row[position] = number;
                    }
                }
                let mut rank = 0;
                for (position, number) in row.iter().enumerate() {
                    prop_assert_eq!(tree.sum_of_first(position), rank);
                    for within in 0..*number {
                        prop_assert_eq!(tree.find(rank + within), (position, within));
                    }
                    rank += number;
                }
                prop_assert_eq!(tree.sum_of_first(row.len()), rank);
            }
        }
    }
}
