//go:build amd64 || arm64

package kernels

// checkTile touches the last elements that the assembly will touch: a mistake
// in the blocking becomes a Go panic instead of a stray write.
func checkTile(t *tileArgs, bCols int) {
	rows := t.rows * t.repeat
	_ = t.a[(t.repeat-1)*t.aStep+(t.rows-1)*t.aRow+(t.k-1)*t.aCol]
	inside(t.b, t.bRow, t.k, bCols)
	inside(t.c, t.ldc, rows, t.cols)
	if t.add != nil {
		inside(t.add, t.addRow, rows, t.cols)
	}
}

// wholeVectors leaves what is less than a vector to plain Go.
func wholeVectors(vectors, rest func(dst []float32, x []uint16), lanes int) func(dst []float32, x []uint16) {
	return func(dst []float32, x []uint16) {
		n := len(x) / lanes * lanes
		vectors(dst[:n], x[:n])
		if n < len(x) {
			rest(dst[n:], x[n:])
		}
	}
}
