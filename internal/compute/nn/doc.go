// Package nn is what models are built of: parameters with names, which constructors declare and which checkpoints
// give their values, affine maps, and layer norms.
package nn
