package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// result is what a run found, and what -json keeps.
type result struct {
	Header      []string           `json:"header"` // date, machine, versions
	Rows        []row              `json:"rows"`
	Products    []productRow       `json:"products,omitempty"`
	Allocations []string           `json:"allocations,omitempty"`
	Samples     map[string][]reply `json:"samples,omitempty"` // by workload and contender
}

// add appends what another run found.
func (r *result) add(other result) {
	for _, line := range other.Header {
		if !slices.Contains(r.Header, line) {
			r.Header = append(r.Header, line)
		}
	}
	r.Rows = append(r.Rows, other.Rows...)
	r.Products = append(r.Products, other.Products...)
	r.Allocations = append(r.Allocations, other.Allocations...)
}

// readResults joins the files that -json wrote.
func readResults(paths []string) (result, error) {
	var all result
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return all, err
		}
		var r result
		if err := json.Unmarshal(raw, &r); err != nil {
			return all, fmt.Errorf("%s: %w", path, err)
		}
		all.add(r)
	}
	return all, nil
}

// markdown prints the result.
func (r *result) markdown(out io.Writer) error {
	var b strings.Builder
	for _, line := range r.Header {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n| workload | unit | unimo | peer | its figure | ratio | target | reached |\n|---|---|---:|---|---:|---:|---|---|\n")
	var notes []string
	last := ""
	for _, row := range r.Rows {
		title := row.Workload
		if title == last {
			title = ""
		}
		last = row.Workload
		fmt.Fprintf(&b, "| %s |\n", strings.Join(append([]string{title}, row.cells(&notes)...), " | "))
	}
	b.WriteString("\nMedians of interleaved rounds. The ratio is ours to the peer's, higher being better;")
	b.WriteString(" in brackets ours divided by the peer's where the target is stated so.\n")
	for i, note := range notes {
		fmt.Fprintf(&b, "[%d] %s\n", i+1, note)
	}
	if len(r.Allocations) > 0 {
		fmt.Fprintf(&b, "\nHeap allocations of unimo per step or call: %s.\n", strings.Join(r.Allocations, "; "))
	}
	if len(r.Products) > 0 {
		b.WriteString("\nProducts in detail, rows x columns x inner of the forward product: percentage of the peak measured beside it (GFLOP/s), and peers in GFLOP/s. Packed is NN with weights packed before.\n\n")
		peers := workloads[0].peers
		b.WriteString("| set | threads | product | NN | NT | TN | packed |")
		for _, p := range peers {
			fmt.Fprintf(&b, " %s NN | NT | TN |", p.name)
		}
		fmt.Fprintf(&b, "\n|---|---|---|---:|---:|---:|---:|%s\n", strings.Repeat("---:|---:|---:|", len(peers)))
		for _, p := range r.Products {
			fmt.Fprintf(&b, "| %s | %d | %s |", p.ISA, p.Threads, p.Shape)
			for _, form := range append(productForms, packedForm) {
				fmt.Fprintf(&b, " %.0f %% (%.0f) |", p.Percent[form], p.GFLOPs[form])
			}
			for _, peer := range peers {
				for _, form := range productForms {
					if speed, ok := p.Theirs[peer.name][form]; ok {
						fmt.Fprintf(&b, " %.0f |", speed)
					} else {
						b.WriteString(" not run |")
					}
				}
			}
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// cells are the row's columns after the workload. Why something was not run goes to notes.
func (r row) cells(notes *[]string) []string {
	missing := ""
	if r.NotRun != "" {
		i := slices.Index(*notes, r.NotRun)
		if i < 0 {
			i = len(*notes)
			*notes = append(*notes, r.NotRun)
		}
		missing = fmt.Sprintf("not run [%d]", i+1)
	}
	figure := func(x float64) string { return fmt.Sprintf("%.*f", r.Digits, x) }
	reached := "no"
	if r.Reached {
		reached = "yes"
	}
	switch {
	case r.NotRun != "" && r.Peer == "":
		return []string{r.Unit, missing, "", "", "", "", ""}
	case r.NotRun != "":
		return []string{r.Unit, figure(r.Ours), r.Peer, missing, "", "", ""}
	case r.Peer == "":
		return []string{r.Unit, figure(r.Ours), "", "", "", r.Target, reached}
	}
	ratio := fmt.Sprintf("%.2f", r.Ratio)
	if r.Inverse {
		ratio += fmt.Sprintf(" (%.2f)", 1/r.Ratio)
	}
	if r.Target == "" {
		reached = ""
	}
	return []string{r.Unit, figure(r.Ours), r.Peer, figure(r.Theirs), ratio, r.Target, reached}
}
