package autograd

import "github.com/unimo-go/unimo/internal/compute/engine"

// ContrastiveLoss returns the mean of
//
//	-log(Σ_positives exp(s) / (Σ_positives exp(s) + Σ_negatives exp(s)))
//
// over the groups of scores that have both kinds, in float64, without overflow on the way; 0 if no group
// has. scores may have any shape.
func (t *Tape) ContrastiveLoss(scores *Var, c engine.Contrast) *Var {
	return t.sloped(scores, func(loss, slopes *engine.Tensor) { t.dev.ContrastiveLoss(loss, slopes, scores.Value, c) })
}

// CircleLoss returns, with p the score of a group's positive pair, n those of one kind of negatives, and
// a⁺ = max(0, 1+m-p), aᵢ = max(0, nᵢ+m), which pass no gradient on, the mean over the groups of half the sum
// over both kinds of
//
//	log(1 + exp(-s·a⁺·(p-(1-m))) · Σᵢ exp(s·aᵢ·(nᵢ-m)))
//
// in float64, without overflow on the way. scores are G·Group x 1. A kind without negatives counts 0; the
// loss of no groups is 0.
func (t *Tape) CircleLoss(scores *Var, c engine.CircleLoss) *Var {
	return t.sloped(scores, func(loss, slopes *engine.Tensor) { t.dev.CircleLoss(loss, slopes, scores.Value, c) })
}
