package kernels

import "math"

// LayerNorm normalises one row (Ba, Kiros and Hinton, arXiv:1607.06450):
//
//	mean   = Σ x[i] / n
//	rstd   = 1/√(Σ (x[i]-mean)²/n + eps)
//	dst[i] = (x[i]-mean)·rstd·gamma[i] + beta[i]
//
// and returns the statistics, which [LayerNormBackward] wants. All slices have
// the same length n; dst may be x. For n = 0 it returns zeros.
func LayerNorm(dst, x, gamma, beta []float32, eps float32) (mean, rstd float32) {
	sameLen("LayerNorm", "dst", len(dst), "x", len(x))
	sameLen("LayerNorm", "dst", len(dst), "gamma", len(gamma))
	sameLen("LayerNorm", "dst", len(dst), "beta", len(beta))
	if len(x) == 0 {
		return 0, 0
	}
	return active().layerNorm(dst, x, gamma, beta, eps)
}

func layerNormGeneric(dst, x, gamma, beta []float32, eps float32) (mean, rstd float32) {
	n := float32(len(x))
	mean = sumGeneric(x) / n
	var squares float32
	for _, v := range x {
		d := v - mean
		squares += d * d
	}
	rstd = 1 / float32(math.Sqrt(float64(squares/n+eps)))
	for i, v := range x {
		dst[i] = (v-mean)*rstd*gamma[i] + beta[i]
	}
	return mean, rstd
}

// LayerNormBackward accumulates the gradients of one row of [LayerNorm], with
// the row's statistics and xhat[i] = (x[i]-mean)·rstd:
//
//	dbeta[i]  += dy[i]
//	dgamma[i] += dy[i]·xhat[i]
//	dx[i]     += rstd·(dy[i]·gamma[i] - s1 - xhat[i]·s2)
//	s1 = Σ_j dy[j]·gamma[j]/n,  s2 = Σ_j dy[j]·gamma[j]·xhat[j]/n
//
// All slices have the same length n, and the three gradients overlap nothing.
func LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma []float32, mean, rstd float32) {
	sameLen("LayerNormBackward", "dx", len(dx), "dgamma", len(dgamma))
	sameLen("LayerNormBackward", "dx", len(dx), "dbeta", len(dbeta))
	sameLen("LayerNormBackward", "dx", len(dx), "dy", len(dy))
	sameLen("LayerNormBackward", "dx", len(dx), "x", len(x))
	sameLen("LayerNormBackward", "dx", len(dx), "gamma", len(gamma))
	if len(x) > 0 {
		active().layerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd)
	}
}

func layerNormBackwardGeneric(dx, dgamma, dbeta, dy, x, gamma []float32, mean, rstd float32) {
	var s1, s2 float32
	for i := range x {
		xhat := (x[i] - mean) * rstd
		scaled := dy[i] * gamma[i]
		s1 += scaled
		s2 += scaled * xhat
		dgamma[i] += dy[i] * xhat
		dbeta[i] += dy[i]
	}
	n := float32(len(x))
	s1 /= n
	s2 /= n
	for i := range x {
		xhat := (x[i] - mean) * rstd
		dx[i] += rstd * (dy[i]*gamma[i] - s1 - xhat*s2)
	}
}
