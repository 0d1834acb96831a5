// Package collective is what processes that compute together exchange. The operations are MPI's, as far as training needs them.
//
// Four processes with two blocks of gradients each:
//
//	g.AllToAll(mine, theirs) // block r goes to rank r, which gets block r of everyone
//	...                      // each rank sums its block in a fixed order
//	g.AllGather(sum, all)    // everyone has all blocks
//
// No operation computes anything: a library's own sums depend on the library, the number of ranks and their places. What is exchanged are bytes;
// processes that compute together are of one release on processors of one byte order.
package collective

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"
)

// Group is the processes that compute together, seen from one of them. All of them call the same operations in the same order; an operation returns
// when this process has what it asked for. One goroutine at a time calls them.
//
// An error means that the group is of no use any more: a process or a link is gone, or processes do not agree on what they exchange.
type Group interface {
	// Rank is this process's number, from 0, and Size how many there are.
	Rank() int
	Size() int
	// Barrier waits for all.
	Barrier() error
	// Broadcast gives everyone the bytes of x that rank root has. All lengths are the same.
	Broadcast(x []byte, root int) error
	// AllGather fills recv with the send of each rank, in their order: Size times its length. send may be this rank's part of recv.
	AllGather(send, recv []byte) error
	// AllToAll sends block r of send, which has Size blocks of one length, to rank r, and fills recv with what each rank sent here. They do not overlap.
	AllToAll(send, recv []byte) error
}

// Alone is the group of one process.
type Alone struct{}

// Rank implements [Group].
func (Alone) Rank() int { return 0 }

// Size implements [Group].
func (Alone) Size() int { return 1 }

// Barrier implements [Group].
func (Alone) Barrier() error { return nil }

// Broadcast implements [Group].
func (Alone) Broadcast([]byte, int) error { return nil }

// AllGather implements [Group].
func (Alone) AllGather(send, recv []byte) error {
	if len(send) != len(recv) {
		return fmt.Errorf("gather %d bytes into %d", len(send), len(recv))
	}
	copy(recv, send)
	return nil
}

// AllToAll implements [Group].
func (Alone) AllToAll(send, recv []byte) error { return Alone{}.AllGather(send, recv) }

// SetTimeout says how long each operation may wait for the other ranks, 0 for ever, where g can give up at all.
func SetTimeout(g Group, d time.Duration) {
	if g, ok := g.(interface{ SetTimeout(time.Duration) }); ok {
		g.SetTimeout(d)
	}
}

// envelope is the length of the first message of GatherAll: 8 bytes say how long what a rank has is, which follows. What finds no room goes in a second one.
const envelope = 1 << 10

// GatherAll returns what each rank has, of any length. What is short costs one operation.
func GatherAll(g Group, mine []byte) ([][]byte, error) {
	const room = envelope - 8
	size := g.Size()
	first, all := make([]byte, envelope), make([]byte, envelope*size)
	binary.LittleEndian.PutUint64(first, uint64(len(mine)))
	copy(first[8:], mine)
	if err := g.AllGather(first, all); err != nil {
		return nil, err
	}
	each, rest := make([][]byte, size), 0
	for r := range each {
		n := int(binary.LittleEndian.Uint64(all[r*envelope:]))
		each[r] = all[r*envelope+8:][:min(n, room):min(n, room)]
		rest = max(rest, n-room)
	}
	if rest <= 0 {
		return each, nil
	}
	send, recv := make([]byte, rest), make([]byte, rest*size)
	copy(send, mine[min(room, len(mine)):])
	if err := g.AllGather(send, recv); err != nil {
		return nil, err
	}
	for r := range each {
		n := int(binary.LittleEndian.Uint64(all[r*envelope:]))
		each[r] = append(each[r], recv[r*rest:][:max(0, n-room)]...)
	}
	return each, nil
}

// Bytes returns the memory of values as bytes.
func Bytes[T float32 | float64 | int32 | uint16](values []T) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(values[0])))
}
