package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// results are all numbers, as -json keeps them.
type results struct {
	Header     []string           `json:"header"`             // date, machine, versions, settings
	Distance   map[string]float64 `json:"distance,omitempty"` // 1 - cosine of a peer's vectors and ours, the largest
	Missing    map[string]string  `json:"missing,omitempty"`  // why a peer was not run
	Memory     map[string]int64   `json:"memory,omitempty"`   // peaks, in bytes
	Throughput []measurement      `json:"throughput,omitempty"`
	Latency    []loaded           `json:"latency,omitempty"`
	Overload   []overloaded       `json:"overload,omitempty"`
	Endurance  *endured           `json:"endurance,omitempty"`
}

// measurement is a stretch of load on a server.
type measurement struct {
	Workload  string `json:"workload"`
	Sentences int    `json:"sentences"` // of a request
	Server    string `json:"server"`
	Round     int    `json:"round"`
	figures
}

// loaded is a server at 80 % of its peak.
type loaded struct {
	Workload string  `json:"workload"`
	Server   string  `json:"server"`
	Round    int     `json:"round"`
	Peak     figures `json:"peak"`
	Unloaded figures `json:"unloaded"` // one connection
	Load     figures `json:"load"`
}

// has says whether a part was measured.
func (r *results) has(part string) bool {
	switch part {
	case "throughput":
		return len(r.Throughput) > 0
	case "latency":
		return len(r.Latency) > 0
	case "overload":
		return len(r.Overload) > 0
	}
	return r.Endurance != nil
}

// readResults reads what was measured before; nothing, if there is no file yet.
func readResults(path string) (*results, error) {
	r := &results{}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// write replaces the file in one step, so that an interruption leaves the old one.
func (r *results) write(path string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// note adds a line to the header, once.
func (r *results) note(line string) {
	if line != "" && !slices.Contains(r.Header, line) {
		r.Header = append(r.Header, line)
	}
}

// over is the median over the rounds of what value says of them; 0 of none.
func over(list []measurement, workload, server string, connections int, value func(figures) float64) float64 {
	var all []float64
	for _, m := range list {
		if m.Workload == workload && m.Server == server && (connections == 0 || m.Connections == connections) {
			all = append(all, value(m.figures))
		}
	}
	return median(all)
}

func perSecond(f figures) float64 { return f.PerSecond }
func p50(f figures) float64       { return f.P50 }
func p99(f figures) float64       { return f.P99 }

// peak is the most requests a second, and the connections with which they were reached.
func (r *results) peak(workload, server string) (most float64, connections int) {
	for _, n := range r.connections(workload) {
		if x := over(r.Throughput, workload, server, n, perSecond); x > most {
			most, connections = x, n
		}
	}
	return most, connections
}

func (r *results) connections(workload string) []int {
	all := map[int]bool{}
	for _, m := range r.Throughput {
		if m.Workload == workload {
			all[m.Connections] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// servers are those that were measured, ours first.
func servers(list []measurement) []string {
	var names []string
	for _, m := range list {
		if !slices.Contains(names, m.Server) {
			names = append(names, m.Server)
		}
	}
	return names
}

func workloadNames(list []measurement) []string {
	var names []string
	for _, m := range list {
		if !slices.Contains(names, m.Workload) {
			names = append(names, m.Workload)
		}
	}
	return names
}

func sentences(list []measurement, workload string) int {
	for _, m := range list {
		if m.Workload == workload {
			return m.Sentences
		}
	}
	return 0
}

// What is asked for: times what a peer does; the 99th percentile at 80 % over the unloaded median; the share of the peak under overload.
var wanted = map[string]float64{infinity: 1.3, onnx: 1}

const (
	wantedLatency = 4
	wantedGoodput = 0.9
	wantedReady   = 500 // ms
)

func yes(ok bool) string {
	if ok {
		return "yes"
	}
	return "**no**"
}

// markdown prints the tables.
func (r *results) markdown(out io.Writer) error {
	var b strings.Builder
	for _, line := range r.Header {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Distance)) {
		fmt.Fprintf(&b, "- vectors of %s and ours: 1 - cosine is at most %.1e for %d sentences\n", name, r.Distance[name], sampleSize)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Missing)) {
		fmt.Fprintf(&b, "- %s: not run: %s\n", name, r.Missing[name])
	}
	if len(r.Throughput) > 0 {
		r.peaks(&b)
		r.throughput(&b)
	}
	if len(r.Latency) > 0 {
		r.latency(&b)
	}
	if len(r.Overload) > 0 {
		r.overload(&b)
	}
	if r.Endurance != nil {
		r.Endurance.markdown(&b)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (r *results) peaks(b *strings.Builder) {
	b.WriteString("\n## Peaks\n\n| workload | server | connections | requests/s | sentences/s | ours to it | asked for | reached | memory, MB |\n|---|---|---:|---:|---:|---:|---:|---|---:|\n")
	for _, w := range workloadNames(r.Throughput) {
		own, _ := r.peak(w, ours)
		for _, s := range servers(r.Throughput) {
			x, n := r.peak(w, s)
			ratio, asked, reached := "", "", ""
			if want := wanted[s]; want > 0 {
				ratio, asked, reached = fmt.Sprintf("%.2f", own/x), fmt.Sprint(want), yes(own >= want*x)
			}
			fmt.Fprintf(b, "| %s | %s | %d | %.1f | %.0f | %s | %s | %s | %d |\n", w, s, n, x, x*float64(sentences(r.Throughput, w)), ratio, asked, reached, r.Memory[s]/1e6)
		}
	}
}

func (r *results) throughput(b *strings.Builder) {
	b.WriteString("\n## By connections\n\nRequests a second, then the median and the 99th percentile of their times in ms: medians over the rounds.\n")
	names := servers(r.Throughput)
	fmt.Fprintf(b, "\n| workload | connections | %s |\n|---|---:|%s\n", strings.Join(names, " | "), strings.Repeat("---:|", len(names)))
	for _, w := range workloadNames(r.Throughput) {
		for _, n := range r.connections(w) {
			fmt.Fprintf(b, "| %s | %d |", w, n)
			for _, s := range names {
				fmt.Fprintf(b, " %.1f; %.1f; %.1f |", over(r.Throughput, w, s, n, perSecond), over(r.Throughput, w, s, n, p50), over(r.Throughput, w, s, n, p99))
			}
			b.WriteString("\n")
		}
	}
}

func (r *results) latency(b *strings.Builder) {
	b.WriteString("\n## At 80 % of the peak\n\nRequests come at a constant rate. Times in ms; unloaded is one connection. A round measures peak, unloaded server and load after each other; medians\nover the rounds. Late is how late the generator itself was (p99).\n\n")
	b.WriteString("| workload | server | peak/s | asked/s | answered/s | unloaded median | median | p99 | late | p99 to unloaded median, by round | asked for | reached |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---|---:|---|\n")
	type key struct{ workload, server string }
	var order []key
	rounds := map[key][]loaded{}
	for _, x := range r.Latency {
		k := key{x.Workload, x.Server}
		if rounds[k] == nil {
			order = append(order, k)
		}
		rounds[k] = append(rounds[k], x)
	}
	for _, k := range order {
		of := func(value func(loaded) float64) float64 {
			var all []float64
			for _, x := range rounds[k] {
				all = append(all, value(x))
			}
			return median(all)
		}
		ratio := func(x loaded) float64 { return x.Load.P99 / x.Unloaded.P50 }
		var each []string
		for _, x := range rounds[k] {
			each = append(each, fmt.Sprintf("%.1f", ratio(x)))
		}
		asked, reached := "", ""
		if k.server == ours {
			asked, reached = fmt.Sprintf("at most %d", wantedLatency), yes(of(ratio) <= wantedLatency)
		}
		fmt.Fprintf(b, "| %s | %s | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f (%s) | %s | %s |\n", k.workload, k.server, of(func(x loaded) float64 { return x.Peak.PerSecond }),
			of(func(x loaded) float64 { return x.Load.Rate }), of(func(x loaded) float64 { return x.Load.PerSecond }), of(func(x loaded) float64 { return x.Unloaded.P50 }),
			of(func(x loaded) float64 { return x.Load.P50 }), of(func(x loaded) float64 { return x.Load.P99 }), of(func(x loaded) float64 { return x.Load.Behind }),
			of(ratio), strings.Join(each, ", "), asked, reached)
	}
}

func (r *results) overload(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %d times the peak\n\n| workload | seconds | peak, requests/s | asked/s | answered/s | share of the peak | processors of the generator (at the peak) | statuses | memory, MB (before) | limit | reached |\n|---|---:|---:|---:|---:|---:|---|---|---:|---:|---|\n", factor)
	for _, x := range r.Overload {
		share := x.Load.PerSecond / x.Peak.PerSecond
		ok := share >= wantedGoodput && x.Load.only("200", "429", "503") && x.Memory < x.Limit && x.Exit == "" && x.Load.NoRetry == 0
		fmt.Fprintf(b, "| %s | %.0f | %.1f | %.1f | %.1f | %.2f | %.2f (%.2f) | %s | %d (%d) | %d | %s |\n", x.Workload, x.Load.Seconds, x.Peak.PerSecond, x.Load.Rate, x.Load.PerSecond, share,
			x.Load.Generator, x.Peak.Generator, counts(x.Load.Statuses), x.Memory/1e6, x.Before/1e6, x.Limit/1e6, yes(ok))
	}
	for _, x := range r.Overload {
		fmt.Fprintf(b, "\n%s: answers took %.0f ms (median) and %.0f ms (p99); %d refusals had no Retry-After", x.Workload, x.Load.P50, x.Load.P99, x.Load.NoRetry)
		if x.Exit != "" {
			fmt.Fprintf(b, "; the server ended with %s", x.Exit)
		}
		b.WriteString(".\n")
	}
}

// counts are numbers by their names.
func counts(m map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s: %d", name, m[name]))
	}
	return strings.Join(parts, ", ")
}

func (x *endured) markdown(b *strings.Builder) {
	e, r := x.Ends, x.Rough
	b.WriteString("\n## Endurance\n\n| what | asked for | found | reached |\n|---|---|---|---|\n")
	row := func(what, asked, found string, ok bool) {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", what, asked, found, yes(ok))
	}
	if e.Signals > 0 {
		row(fmt.Sprintf("%d times SIGTERM under load", e.Signals), "no accepted request lost", fmt.Sprintf("%d requests: %s; %d refused, %d reset before the server saw them, %d lost, %d answers in no log", e.Requests, counts(e.Statuses), e.Refused, e.Unheard, len(e.Lost), e.Unlogged), len(e.Lost)+e.Unlogged == 0)
		row("time until ready, ms", fmt.Sprintf("at most %d", wantedReady), fmt.Sprintf("median %.0f, most %.0f", median(e.Ready), slices.Max(e.Ready)), slices.Max(e.Ready) <= wantedReady)
	}
	row(fmt.Sprintf("%d clients that left half-way, %d slow bodies, %d requests of nonsense", r.Left, r.Slow, r.Nonsense), "no 500, 502, 504", counts(r.Statuses), len(r.Failed) == 0)
	held := func(what string, of func(vitals) int64, slack float64) {
		before, first, second := of(r.Before), of(r.First), of(r.Second)
		row(what+": before, after once, after twice", "no more", fmt.Sprintf("%d, %d, %d", before, first, second), float64(second) <= slack*float64(max(before, first)))
	}
	held("goroutines", func(v vitals) int64 { return int64(v.Goroutines) }, 1)
	held("open files", func(v vitals) int64 { return int64(v.Files) }, 1)
	held("MB resident", func(v vitals) int64 { return v.Resident / 1e6 }, 1.1)
	held("MB of heap in use", func(v vitals) int64 { return v.Heap / 1e6 }, 1.1)
	row("vectors after", "the same bits", "", r.Same)
	row("how the servers ended", "exit code 0", strings.Join(x.Exits, ", "), len(x.Exits) == 0)
	for _, list := range [][]string{e.Lost, r.Failed} {
		for _, line := range list {
			fmt.Fprintf(b, "\n- %s", line)
		}
	}
	b.WriteString("\n")
}
