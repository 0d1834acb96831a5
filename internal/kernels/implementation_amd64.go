package kernels

// assembly is the kernels written in assembly that this processor can run.
var assembly map[ISA]*implementation
