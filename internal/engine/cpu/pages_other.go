//go:build !linux

package cpu

// adviseLargePages does nothing: the system has no such advice, or chooses by itself.
func adviseLargePages([]float32) {}
