package detector

import "github.com/unimo-go/unimo/internal/vision/graph"

// pool sets dst to the mean of a map of features (1 x height x width x channels) over a box. A cell counts with the part of it that
// lies in the box, so the mean changes steadily with the box, and a box within one cell has that cell's feature.
func pool(dst []float32, m graph.Tensor, b box) {
	height, width := m.Dims[1], m.Dims[2]
	across, left := shares(b[0], b[2], width)
	down, top := shares(b[1], b[3], height)
	sum := make([]float64, len(dst))
	var total float64
	for i, wy := range down {
		for j, wx := range across {
			w := wx * wy
			total += w
			for c, v := range m.Values[((top+i)*width+left+j)*len(dst):][:len(dst)] {
				sum[c] += w * float64(v)
			}
		}
	}
	for c := range dst {
		dst[c] = float32(sum[c] / total)
	}
}

// shares returns how much of each of n cells beside each other lies between two places, of those from first on that are touched.
func shares(from, to float32, n int) (shares []float64, first int) {
	a, b := float64(from)*float64(n), float64(to)*float64(n)
	first = min(int(a), n-1)
	for i := first; i < n && (float64(i) < b || i == first); i++ {
		shares = append(shares, max(min(b, float64(i+1))-max(a, float64(i)), 1e-9))
	}
	return shares, first
}
