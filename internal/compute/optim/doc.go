// Package optim is the reference's optimiser: Adam with global-norm clipping,
// decoupled weight decay, and its learning-rate schedules.
//
// Source: PaddlePaddle/Research, NLP/UNIMO/src/utils/optimization.py and Adam of
// PaddlePaddle 1.8.
package optim
