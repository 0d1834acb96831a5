package golden

// Pack returns the values [w] of those of n positions, for each of b sequences, that valid names,
// and the sequences' offsets.
func Pack[T any](values []T, b, n, w int, valid func(s, i int) bool) (packed []T, offsets []int32) {
	offsets = []int32{0}
	for s := range b {
		for i := range n {
			if valid(s, i) {
				packed = append(packed, values[(s*n+i)*w:][:w]...)
			}
		}
		offsets = append(offsets, int32(len(packed)/w))
	}
	return packed, offsets
}

// Attends returns which positions of padded sequences, from first on, are no padding: they attend to themselves.
func Attends(in Tensors, first int) func(s, i int) bool {
	mask, length := in.Floats("input_mask"), in.Shape("input_mask")[1]
	return func(s, i int) bool { return mask[(s*length+first+i)*length+first+i] == 1 }
}
