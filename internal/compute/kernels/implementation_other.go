//go:build !amd64 && !arm64

package kernels

// assembly is empty: there is no assembly for this architecture.
var assembly map[ISA]*implementation
