package vit

import "math"

// stretch is the matrix (to x from, row by row) that scales a line of values by cubic interpolation, as PyTorch does it: a value
// of the new line is a weighted sum of old ones. Where the line gets shorter, antialias widens the kernel, whose parameter
// is -0.5 then and -0.75 otherwise.
func stretch(from, to int, antialias bool) []float64 {
	w := make([]float64, from*to)
	scale := float64(from) / float64(to)
	for i := range to {
		row := w[i*from : (i+1)*from]
		if !antialias {
			at := scale*(float64(i)+0.5) - 0.5
			first := math.Floor(at)
			for k := -1; k <= 2; k++ {
				place := min(max(int(first)+k, 0), from-1) // what is outside is as the border
				row[place] += cubic(at-first-float64(k), -0.75)
			}
			continue
		}
		center, wide := scale*(float64(i)+0.5), max(scale, 1)
		lo, hi := max(int(center-2*wide+0.5), 0), min(int(center+2*wide+0.5), from)
		var total float64
		for k := lo; k < hi; k++ {
			row[k] = cubic((float64(k)-center+0.5)/wide, -0.5)
			total += row[k]
		}
		for k := lo; k < hi; k++ {
			row[k] /= total
		}
	}
	return w
}

// cubic is the kernel of cubic convolution (Keys, 1981) with parameter a.
func cubic(x, a float64) float64 {
	x = math.Abs(x)
	switch {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return ((x-5)*x+8)*a*x - 4*a
	}
	return 0
}

// interpolation returns the matrix that makes a table of positions for down x across cells of that for the configuration's, row by
// row: ahead rows (the class token's) stay. It is nil if the sizes are the same.
func (c *Config) interpolation(down, across, ahead int) []float32 {
	tableDown, tableAcross := c.cells()
	if down == tableDown && across == tableAcross {
		return nil
	}
	vertical, horizontal := stretch(tableDown, down, c.family.antialias), stretch(tableAcross, across, c.family.antialias)
	rows, cols := ahead+down*across, ahead+tableDown*tableAcross
	w := make([]float32, rows*cols)
	for i := range ahead {
		w[i*cols+i] = 1
	}
	for y := range down {
		for x := range across {
			row := w[(ahead+y*across+x)*cols+ahead:]
			for v := range tableDown {
				for h := range tableAcross {
					row[v*tableAcross+h] = float32(vertical[y*tableDown+v] * horizontal[x*tableAcross+h])
				}
			}
		}
	}
	return w
}
