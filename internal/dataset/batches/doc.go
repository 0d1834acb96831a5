// Package batches says which examples make which batch, the same for ever: an epoch's order
// ([Permutation]), its cut into batches ([Plan]) and both by number ([Batches]).
package batches
