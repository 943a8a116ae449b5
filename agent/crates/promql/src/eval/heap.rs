//! A heap as Go's `container/heap` keeps it, because which of several equal values `topk` takes follows from it.
//!
//! `less(a, b)` says that `a` is nearer to the root. The texts of the steps are Go's; nothing here knows what is kept.

/// Puts one more in.
pub(super) fn push(heap: &mut Vec<usize>, item: usize, less: &dyn Fn(usize, usize) -> bool) {
    heap.push(item);
    let mut at = heap.len() - 1;
    while at > 0 && less(heap[at], heap[(at - 1) / 2]) {
        heap.swap(at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

/// Puts another in the place of the root.
pub(super) fn replace_root(heap: &mut [usize], item: usize, less: &dyn Fn(usize, usize) -> bool) {
    heap[0] = item;
    let mut at = 0;
    loop {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        if left >= heap.len() {
            return;
        }
        let next = if right < heap.len() && less(heap[right], heap[left]) { right } else { left };
        if !less(heap[next], heap[at]) {
            return;
        }
        heap.swap(at, next);
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_least_and_of_equals_the_first_goes() {
        let values = [1.0, 1.0, 2.0, 0.5, 2.0, 3.0];
        let less = |a: usize, b: usize| values[a] < values[b];
        let mut heap = Vec::new();
        push(&mut heap, 0, &less);
        push(&mut heap, 1, &less);
        assert_eq!(heap, [0, 1]);
        replace_root(&mut heap, 2, &less);
        assert_eq!(heap, [1, 2]);
        push(&mut heap, 3, &less);
        push(&mut heap, 5, &less);
        assert_eq!(heap[0], 3);
        replace_root(&mut heap, 4, &less);
        assert_eq!((heap[0], heap.len()), (1, 4));
    }
}
