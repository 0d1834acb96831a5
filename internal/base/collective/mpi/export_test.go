package mpi

// SetLargest sets how many bytes one call may have.
func (g *Group) SetLargest(n int) { g.largest = n }
