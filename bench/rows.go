package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// row is a line of the table: our figure and, unless the target is one for it alone, a peer's.
type row struct {
	Workload string  `json:"workload"`
	Unit     string  `json:"unit"`
	Digits   int     `json:"digits"` // behind the point
	Ours     float64 `json:"ours"`
	Peer     string  `json:"peer,omitempty"`
	Theirs   float64 `json:"theirs,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"` // of ours to the peer's, higher being better
	Inverse  bool    `json:"inverse,omitempty"`
	Target   string  `json:"target,omitempty"`
	Reached  bool    `json:"reached"`
	NotRun   string  `json:"not_run,omitempty"` // why
}

func (m metric) format(x float64) string { return fmt.Sprintf("%.*f", m.digits, x) }

// compare makes the row of two figures.
func compare(title string, m metric, ours float64, peer string, theirs float64, t target) row {
	r := row{Workload: title, Unit: m.unit, Digits: m.digits, Ours: ours, Peer: peer, Theirs: theirs, Ratio: ours / theirs, Inverse: t.inverse > 0}
	if m.lower {
		r.Ratio = theirs / ours
	}
	switch {
	case t.inverse > 0:
		r.Target = fmt.Sprintf("ours at most %.4g of it", t.inverse)
	case t.atLeast > 0:
		r.Target = fmt.Sprintf("at least %.4g x", t.atLeast)
	}
	r.Reached = r.Ratio >= t.ratio()
	return r
}

// rows makes the rows of a workload that is not products.
func (w workload) rows(sides []*side) []row {
	var rows []row
	variants := w.variants()
	peers := sides[len(variants):]
	for i, v := range variants {
		ours, title := sides[i], w.title
		if v.title != "" {
			title += ": " + v.title
		}
		if ours.err != nil {
			rows = append(rows, row{Workload: title, Unit: w.metric.unit, NotRun: ours.err.Error()})
			continue
		}
		figure := w.metric.of(ours.replies)
		if w.worker == "first" {
			rows = append(rows, row{
				Workload: title, Unit: w.metric.unit, Digits: w.metric.digits, Ours: figure,
				Target: fmt.Sprintf("at most %.4g s", firstPredictionLimit), Reached: figure <= firstPredictionLimit,
			})
		}
		for j, p := range w.peers {
			switch {
			case peers[j].err != nil:
				rows = append(rows, row{Workload: title, Unit: w.metric.unit, Digits: w.metric.digits, Ours: figure, Peer: p.name, NotRun: peers[j].err.Error()})
			case !w.slower(peers, j):
				rows = append(rows, compare(title, w.metric, figure, p.name, w.metric.of(peers[j].replies), p.target))
			}
		}
	}
	if w.memory && sides[0].peak > 0 {
		for j, p := range w.peers {
			if peers[j].peak > 0 && !w.slower(peers, j) {
				rows = append(rows, compare("peak memory, "+w.title, memoryPeak, float64(sides[0].peak)/1e9, p.name, float64(peers[j].peak)/1e9, p.memory))
			}
		}
	}
	return rows
}

// slower says whether another peer of the group of peer j is faster, or as fast and first.
func (w workload) slower(peers []*side, j int) bool {
	for i, other := range w.peers {
		if i == j || other.group == "" || other.group != w.peers[j].group || peers[i].err != nil {
			continue
		}
		a, b := w.metric.of(peers[i].replies), w.metric.of(peers[j].replies)
		if w.metric.lower {
			a, b = b, a
		}
		if a > b || a == b && i < j {
			return true
		}
	}
	return false
}

// productRow is a line of the second table.
type productRow struct {
	ISA     string             `json:"isa"`
	Threads int                `json:"threads"`
	Shape   string             `json:"shape"`
	Percent map[string]float64 `json:"percent"` // of the peak, by form
	GFLOPs  map[string]float64 `json:"gflops"`

	Theirs map[string]map[string]float64 `json:"theirs,omitempty"` // GFLOP/s of peers by form
}

// Least percentages of the peak that the issue asks for.
const (
	largePercent = 88.0 // AVX-512, batches
	smallPercent = 75.0 // AVX-512, single sentences
	avx2Percent  = 85.0
	largeRows    = 400
)

// productRows makes the rows of products, and the lines of the second table.
func (w workload) productRows(sides []*side, sets []kernels.ISA, threads int) ([]row, []productRow) {
	ours, peers := sides[0], sides[1:]
	if ours.err != nil {
		return []row{{Workload: w.title, Unit: "% of peak", NotRun: ours.err.Error()}}, nil
	}
	var rows []row
	var lines []productRow
	for i, isa := range slices.Backward(sets) { // the best first
		for _, n := range threadCounts(threads) {
			for _, tokens := range productRows {
				title := fmt.Sprintf("products of %d rows, %v, %s", tokens, isa, onThreads(n))
				least := math.Inf(1)
				var speeds []float64
				theirs := make([][]float64, len(peers))
				for _, s := range productShapes() {
					if s.rows != tokens {
						continue
					}
					line := productRow{isa.String(), n, s.String(), map[string]float64{}, map[string]float64{}, map[string]map[string]float64{}}
					for _, form := range append(productForms, packedForm) {
						key := productKey(isa.String(), n, s, form)
						line.Percent[form] = 100 * ours.value(func(v map[string]float64) float64 { return v[key] / v["peak:"+key] })
						line.GFLOPs[form] = ours.value(func(v map[string]float64) float64 { return v[key] })
						if form == packedForm {
							continue // shown below only
						}
						least = min(least, line.Percent[form])
						speeds = append(speeds, line.GFLOPs[form])
						for j, p := range peers {
							if p.err != nil {
								continue
							}
							key, name := productKey("", n, s, form), w.peers[j].name
							if line.Theirs[name] == nil {
								line.Theirs[name] = map[string]float64{}
							}
							line.Theirs[name][form] = p.value(func(v map[string]float64) float64 { return v[key] })
							theirs[j] = append(theirs[j], line.Theirs[name][form])
						}
					}
					lines = append(lines, line)
				}
				want := percentTarget(isa, tokens)
				rows = append(rows, row{
					Workload: title, Unit: "% of peak, lowest of 9", Digits: 1, Ours: least,
					Target: fmt.Sprintf("at least %.4g %%", want), Reached: least >= want,
				})
				if i < len(sets)-1 {
					continue // peers have no choice
				}
				m := metric{unit: "GFLOP/s, geometric mean"}
				for j, p := range peers {
					if p.err != nil {
						rows = append(rows, row{Workload: title, Unit: m.unit, Ours: geometricMean(speeds), Peer: w.peers[j].name, NotRun: p.err.Error()})
						continue
					}
					rows = append(rows, compare(title, m, geometricMean(speeds), w.peers[j].name, geometricMean(theirs[j]), w.peers[j].target))
				}
			}
		}
	}
	return rows, lines
}

func onThreads(n int) string {
	if n == 1 {
		return "one thread"
	}
	return fmt.Sprintf("%d threads", n)
}

func percentTarget(isa kernels.ISA, rows int) float64 {
	switch {
	case isa == kernels.AVX2:
		return avx2Percent
	case rows >= largeRows:
		return largePercent
	default:
		return smallPercent
	}
}

// value is the median over the rounds of something computed from a round's values.
func (s *side) value(of func(v map[string]float64) float64) float64 {
	var x []float64
	for _, r := range s.replies {
		x = append(x, of(r.Values))
	}
	return median(x)
}

// allocations tells the heap allocations of our side per batch, "" if it has none to tell.
func (w workload) allocations(v variant, s *side) string {
	batches, objects, bytes := 0, uint64(0), uint64(0)
	for _, r := range s.replies {
		batches += len(r.Seconds)
		objects += r.Objects
		bytes += r.Bytes
	}
	if batches == 0 || objects == 0 {
		return ""
	}
	title := w.name
	if v.title != "" {
		title += " (" + v.title + ")"
	}
	return fmt.Sprintf("%s %d objects of %.1f kB", title, objects/uint64(batches), float64(bytes)/float64(batches)/1e3)
}

func sum(x []float64) float64 {
	total := 0.0
	for _, v := range x {
		total += v
	}
	return total
}

// median returns the middle of x, NaN if it is empty.
func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

func geometricMean(x []float64) float64 {
	total := 0.0
	for _, v := range x {
		total += math.Log(v)
	}
	return math.Exp(total / float64(len(x)))
}
