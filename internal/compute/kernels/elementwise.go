package kernels

// Add computes dst[i] = a[i] + b[i]. All have the same length.
func Add(dst, a, b []float32) {
	sameLen("Add", "dst", len(dst), "a", len(a))
	sameLen("Add", "dst", len(dst), "b", len(b))
	active().add(dst, a, b)
}

func addGeneric(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// Mul computes dst[i] = a[i] * b[i]. All have the same length.
func Mul(dst, a, b []float32) {
	sameLen("Mul", "dst", len(dst), "a", len(a))
	sameLen("Mul", "dst", len(dst), "b", len(b))
	active().mul(dst, a, b)
}

func mulGeneric(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// Max computes dst[i] = max(a[i], b[i]); NaN if one is. All have the same length.
func Max(dst, a, b []float32) {
	sameLen("Max", "dst", len(dst), "a", len(a))
	sameLen("Max", "dst", len(dst), "b", len(b))
	active().max(dst, a, b)
}

func maxGeneric(dst, a, b []float32) {
	for i := range dst {
		dst[i] = max(a[i], b[i])
	}
}

// Axpy computes dst[i] += alpha * x[i]. Both have the same length.
func Axpy(dst []float32, alpha float32, x []float32) {
	sameLen("Axpy", "dst", len(dst), "x", len(x))
	active().axpy(dst, alpha, x)
}

func axpyGeneric(dst []float32, alpha float32, x []float32) {
	for i := range dst {
		dst[i] += alpha * x[i]
	}
}

// Scale computes dst[i] = alpha * x[i]. Both have the same length.
func Scale(dst []float32, alpha float32, x []float32) {
	sameLen("Scale", "dst", len(dst), "x", len(x))
	active().scale(dst, alpha, x)
}

func scaleGeneric(dst []float32, alpha float32, x []float32) {
	for i := range dst {
		dst[i] = alpha * x[i]
	}
}

// Dot returns the sum of a[i] * b[i], summed in float32 in an order that
// depends on the length alone. Both have the same length.
func Dot(a, b []float32) float32 {
	sameLen("Dot", "a", len(a), "b", len(b))
	return active().dot(a, b)
}

func dotGeneric(a, b []float32) float32 {
	var s0, s1, s2, s3 float32 // several sums: shorter chains, smaller rounding error
	for len(a) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i := range a {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// Sum returns the sum of x, summed in float32 in an order that depends on the
// length alone.
func Sum(x []float32) float32 { return active().sum(x) }

func sumGeneric(x []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
		x = x[4:]
	}
	for i := range x {
		s0 += x[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// SumSquares returns the sum of x[i]², squared and summed in float64.
func SumSquares(x []float32) float64 { return active().sumSquares(x) }

func sumSquaresGeneric(x []float32) float64 {
	var s0, s1 float64
	for len(x) >= 2 {
		s0 += float64(x[0]) * float64(x[0])
		s1 += float64(x[1]) * float64(x[1])
		x = x[2:]
	}
	for i := range x {
		s0 += float64(x[i]) * float64(x[i])
	}
	return s0 + s1
}
