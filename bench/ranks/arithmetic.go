package main

import (
	"fmt"
	"io"
)

// shape is a model and a batch on a host. What is not measured is assumed, and called so.
type shape struct {
	name     string
	batch    float64 // seconds of a batch, forward and backward
	update   float64 // seconds of the norm and Adam
	exchange float64 // bytes of gradients: the layers', and the rows of embeddings that batches looked up
}

// The figures of base are those of docs/results/2026-11-24-speed.md, two threads of one machine: 420 tokens a batch in 0.84 s, 3,200 in 6.4 s, of
// which Adam and the norm take 0.06 s. Large has 3.55 times the parameters in its layers, and as much arithmetic; that its time is as many times as
// long is assumed, and so is a host of 32 cores, 16 times as fast.
const (
	mega         = 1e6
	baseBytes    = 344 * mega
	largeBytes   = 1216 * mega
	largeTimes   = 3.55
	manyCores    = 16
	updateOfBase = 0.06
)

var shapes = []shape{
	{"base, SST-2", 0.78, updateOfBase, baseBytes},
	{"base, passages", 6.34, updateOfBase, baseBytes},
	{"large, SST-2", 0.78 * largeTimes, updateOfBase * largeTimes, largeBytes},
	{"large, passages", 6.34 * largeTimes, updateOfBase * largeTimes, largeBytes},
	{"base, passages, 32 cores", 6.34 / manyCores, updateOfBase / manyCores, baseBytes},
	{"large, passages, 32 cores", 6.34 * largeTimes / manyCores, updateOfBase * largeTimes / manyCores, largeBytes},
}

// links are in Gbit/s. TCP leaves 95 % of a link to the data. No more than 2.5 GB/s goes through a rank, which is what two of them exchange through shared
// memory; it is assumed of faster networks.
var links = []float64{1, 10, 25, 100}

const (
	payload = 0.95
	most    = 2.5e9
)

// seconds is how long p ranks exchange gradients on a link: each sends and receives 2·(p-1)/p of them.
func (s shape) seconds(ranks, link float64) float64 {
	return 2 * (ranks - 1) / ranks * s.exchange / min(payload*link*1e9/8, most)
}

// efficiency is the speed of p ranks over p times that of one, with a number of batches for each rank. hidden is the part of the backward pass of a rank's last
// batch, two thirds of the batch, behind which the exchange hides.
func (s shape) efficiency(ranks, batches, link, hidden float64) float64 {
	shown := max(0, s.seconds(ranks, link)-hidden*2/3*s.batch)
	return (ranks*batches*s.batch + s.update) / (ranks * (batches*s.batch + s.update + shown))
}

func printArithmetic(w io.Writer, ranks float64) {
	fmt.Fprint(w, "| model, batch, host | batches a rank |")
	for _, link := range links {
		fmt.Fprintf(w, " %v Gbit/s |", link)
	}
	fmt.Fprint(w, "\n|---|---|---|---|---|---|\n")
	for _, s := range shapes {
		for _, batches := range []float64{1, 8} {
			fmt.Fprintf(w, "| %s | %v |", s.name, batches)
			for _, link := range links {
				fmt.Fprintf(w, " %.0f %% (%.0f %%) |", 100*s.efficiency(ranks, batches, link, 0), 100*s.efficiency(ranks, batches, link, 1))
			}
			fmt.Fprintln(w)
		}
	}
}
