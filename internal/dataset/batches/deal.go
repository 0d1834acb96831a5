package batches

import "slices"

// Version says which examples the batches of a step get, where a step has several. A run keeps it: one begun with another cannot go on.
const Version = 1

// deal divides the records of a step among its batches so that these have about as many tokens: processes that take them at a time then need
// not wait for each other. The longest records come first, each to the batch with the fewest tokens of those that have room. A batch keeps its
// number of records, and records the order that they had. It is a function of the step's records and batches alone.
func deal(lengths []int, step [][]int) {
	if len(step) < 2 {
		return
	}
	records := slices.Concat(step...)
	longest := Sequence(len(records))
	slices.SortStableFunc(longest, func(i, j int) int { return lengths[records[j]] - lengths[records[i]] })
	batch, tokens, room := make([]int, len(records)), make([]int, len(step)), make([]int, len(step))
	for b := range step {
		room[b] = len(step[b])
	}
	for _, i := range longest {
		best := -1
		for b := range step {
			if room[b] > 0 && (best < 0 || tokens[b] < tokens[best]) {
				best = b
			}
		}
		batch[i] = best
		tokens[best] += lengths[records[i]]
		room[best]--
	}
	next := make([]int, len(step))
	for i, b := range batch {
		step[b][next[b]] = records[i]
		next[b]++
	}
}
