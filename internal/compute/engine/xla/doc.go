// Package xla is a device that records operations and runs them on a chip, through a plugin of the PJRT interface: the machines of
// NVIDIA, AMD, Intel and Google, and for tests the processor.
//
// Nothing is computed before somebody reads a number. Then all that was recorded is one program. It is looked up by a hash of the
// operations and compiled if there is none: writing its text in StableHLO is the work of functions named lower…, which see shapes and
// attributes, never numbers. What changes from step to step (ids, offsets, the streams of dropout, the optimiser's scalars) is an input.
//
// Rows that are added to a table's are sorted by the processor, which knows where they go (see landing). XLA's own addition by index either has
// another order each time on a GPU or, where that is refused, sorts all numbers there.
//
// Batches have any number of rows, programs a fixed one. So every tensor has room(rows) rows in the device's memory, and operations for
// which it matters get the true number as an input. See [memory] for what lies behind it.
package xla
