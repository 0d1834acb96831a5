package multi

import (
	"cmp"
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
)

// batched is what gives batches by epoch and number.
type batched interface {
	Batches(epoch int) int
	Total(epochs int) int
}

// turn is a batch of a task: its epoch and number there.
type turn struct{ task, epoch, batch int }

// mix says which batch of which task comes when. An epoch takes the next ratio times as many batches of each task as an
// epoch of its own has, evenly spread; what comes where is a function of the seed and the epoch.
type mix struct {
	seed   uint64
	tasks  []batched
	ratios []float64

	epoch int
	turns []turn // of the epoch last asked for; nil: of none yet
}

// tiny keeps a product such as 0.29 * 100 from being a little less than the whole number it means.
const tiny = 1e-9

// at is the place of a task in its own batches where an epoch begins: its epoch, and the batch in it.
func (m *mix) at(task, epoch int) (own, batch int) {
	at := m.ratios[task]*float64(epoch) + tiny
	own = int(at)
	return own, int((at-float64(own))*float64(m.tasks[task].Batches(own)) + tiny)
}

// plan returns the turns of an epoch. The result is read-only.
func (m *mix) plan(epoch int) []turn {
	if m.turns != nil && m.epoch == epoch {
		return m.turns
	}
	type placed struct {
		turn
		place float64
	}
	all := []placed{}
	for task := range m.tasks {
		first := len(all)
		own, batch := m.at(task, epoch)
		for endOwn, end := m.at(task, epoch+1); own < endOwn || own == endOwn && batch < end; batch++ {
			if batch >= m.tasks[task].Batches(own) {
				own, batch = own+1, -1
				continue
			}
			all = append(all, placed{turn: turn{task, own, batch}})
		}
		draw, n := random.New(m.seed, "mix", epoch, task), float64(len(all)-first)
		for i := first; i < len(all); i++ {
			all[i].place = (float64(i-first) + draw.Float64()) / n
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.place, b.place) })
	m.epoch, m.turns = epoch, make([]turn, len(all))
	for i, p := range all {
		m.turns[i] = p.turn
	}
	return m.turns
}

// total is the number of batches of the epochs before one.
func (m *mix) total(epochs int) int {
	n := 0
	for task, t := range m.tasks {
		own, batch := m.at(task, epochs)
		n += t.Total(own) + batch
	}
	return n
}

// last is the epoch of a task's own that its newest batch was of, when an epoch has ended.
func (m *mix) last(task, epoch int) int {
	own, batch := m.at(task, epoch+1)
	if batch == 0 {
		own--
	}
	return max(0, own)
}
