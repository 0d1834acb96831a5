package kernels

// assembly is the kernels written in assembly: every processor that Go runs on has NEON.
var assembly = map[ISA]*implementation{NEON: &neon}
