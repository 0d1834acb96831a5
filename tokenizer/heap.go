package tokenizer

// heapOf is a binary heap with the least item on top. Unlike container/heap it
// boxes no items.
type heapOf[T any] struct {
	items []T
	less  func(a, b T) bool
}

func (h *heapOf[T]) len() int { return len(h.items) }
func (h *heapOf[T]) top() T   { return h.items[0] }

func (h *heapOf[T]) push(item T) {
	h.items = append(h.items, item)
	i := len(h.items) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(item, h.items[parent]) {
			break
		}
		h.items[i] = h.items[parent]
		i = parent
	}
	h.items[i] = item
}

func (h *heapOf[T]) pop() T {
	top := h.items[0]
	n := len(h.items) - 1
	item := h.items[n]
	h.items = h.items[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && h.less(h.items[child+1], h.items[child]) {
			child++
		}
		if !h.less(h.items[child], item) {
			break
		}
		h.items[i] = h.items[child]
		i = child
	}
	h.items[i] = item
	return top
}
