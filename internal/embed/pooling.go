package embed

import (
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/base/names"
)

// The ways of pooling, by sentence-transformers' names, and [Pooled].
const (
	First         = "cls"                  // the first token
	Max           = "max"                  // the largest value of each column
	Mean          = "mean"                 // the mean of the tokens
	MeanSqrt      = "mean_sqrt_len_tokens" // their sum divided by the root of their number
	WeightedMean  = "weightedmean"         // the mean with weights 1, 2, 3, ...
	Last          = "lasttoken"            // the last token
	Pooled        = "pooled"               // the first token through the checkpoint's pooler
	defaultPool   = Mean
	allPoolings   = "cls, mean, max, pooled, mean_sqrt_len_tokens, weightedmean or lasttoken"
	poolingKind   = "pooling"
	legacyPooling = "pooling_mode_"
)

// Poolings lists the names of the ways of pooling.
var Poolings = []string{First, Mean, Max, Pooled, MeanSqrt, WeightedMean, Last}

// legacy are the keys of 1_Pooling/config.json that switch a way on, in the order in which their vectors are joined.
var legacy = []struct{ key, mode string }{
	{legacyPooling + "cls_token", First}, {legacyPooling + "max_tokens", Max}, {legacyPooling + "mean_tokens", Mean},
	{legacyPooling + "mean_sqrt_len_tokens", MeanSqrt}, {legacyPooling + "weightedmean_tokens", WeightedMean}, {legacyPooling + "lasttoken", Last},
}

// pooling makes one vector of a sequence's rows: those of its ways behind each other.
type pooling []string

// parsePooling checks ways of pooling that a file or a person names.
func parsePooling(modes []string) (pooling, error) {
	for i, mode := range modes {
		found, err := names.Find(poolingKind, mode, Poolings)
		if err != nil {
			return nil, err
		}
		modes[i] = found
	}
	if len(modes) > 1 && slices.Contains(modes, Pooled) {
		return nil, fmt.Errorf("pooling %s goes with no other", Pooled)
	}
	return modes, nil
}

// firstOnly says whether the first rows of sequences are all that is looked at.
func (p pooling) firstOnly(skip int) bool {
	return skip == 0 && !slices.ContainsFunc(p, func(mode string) bool { return mode != First && mode != Pooled })
}

// appendTo appends to dst what is pooled of rows, n x h, of which the first skip are a prompt's and do not count.
func (p pooling) appendTo(dst, rows []float32, h, skip int) []float32 {
	n := len(rows) / h
	skip = min(skip, n-1) // the separator is left in any case
	for _, mode := range p {
		switch mode {
		case Pooled:
			dst = append(dst, rows[:h]...)
		case First:
			dst = append(dst, rows[skip*h:(skip+1)*h]...)
		case Last:
			dst = append(dst, rows[(n-1)*h:]...)
		case Max:
			dst = append(dst, rows[skip*h:(skip+1)*h]...)
			best := dst[len(dst)-h:]
			for i := skip + 1; i < n; i++ {
				for k, x := range rows[i*h : (i+1)*h] {
					best[k] = max(best[k], x)
				}
			}
		default:
			dst = appendSum(dst, rows, h, skip, mode)
		}
	}
	return dst
}

// appendSum is appendTo for the ways that add rows up.
func appendSum(dst, rows []float32, h, skip int, mode string) []float32 {
	sum, weights := make([]float64, h), 0.0
	for i := skip; i < len(rows)/h; i++ {
		w := 1.0
		if mode == WeightedMean {
			w = float64(i + 1)
		}
		weights += w
		for k, x := range rows[i*h : (i+1)*h] {
			sum[k] += w * float64(x)
		}
	}
	if mode == MeanSqrt {
		weights = math.Sqrt(weights)
	}
	for _, x := range sum {
		dst = append(dst, float32(x/weights))
	}
	return dst
}
