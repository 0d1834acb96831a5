package engine

// Factored is the second moment of a matrix (R x C) as Adafactor has it (Shazeer and Stern, arXiv:1804.04235): the moving averages of g'² over
// each row and over each column, where v is their product over the average of all.
type Factored struct {
	Rows    *Tensor // R x 1
	Columns *Tensor // 1 x C+1: the last is the average of all
}

// Check panics with a [ShapeError] unless the averages are those of p.
func (f Factored) Check(op string, p *Tensor) {
	CheckShape(op, "the averages of rows", f.Rows, p.Rows, 1)
	CheckShape(op, "the averages of columns", f.Columns, 1, p.Cols+1)
}

// Moved is a moving average that takes in x, and Faded one after so many steps with nothing to take in, one after the other: how many are made at a time
// changes no bit.
func Moved(average, x, beta float32) float32 { return kept(beta*average + (1-beta)*x) }

// Faded: see [Moved].
func Faded(average, beta float32, steps int) float32 {
	for ; steps > 0 && average != 0; steps-- {
		average = kept(beta * average)
	}
	return average
}

// kept is an average, or zero where it is too small to be of use; see kernels.Adam.
func kept(average float32) float32 {
	const least = 0x1p-100
	if average < least {
		return 0
	}
	return average
}
