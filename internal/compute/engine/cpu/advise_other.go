//go:build !linux

package cpu

// advise does nothing: the system has no such advice, or chooses by itself.
func advise([]float32) {}
