//go:build !linux

package cpu

// advise and adviseSparse do nothing: the system has no such advice, or chooses by itself.
func advise([]float32) {}

func adviseSparse([]float32) {}
