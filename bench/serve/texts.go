package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// workload is what clients ask for.
type workload struct {
	name        string
	sentences   int   // of a request
	connections []int // that clients have, one request at a time on each; the first is the unloaded server
	bodies      [][]byte
}

// requests are how many different ones a workload has.
const requests = 512

// readSentences returns those of a file of STS-B, each once, in a fixed random order.
func readSentences(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var all []string
	for i, row := range rows {
		if len(row) < 3 {
			return nil, fmt.Errorf("%s:%d: has %d columns, not 3; want a file of STS-B", path, i+1, len(row))
		}
		all = append(all, row[0], row[1])
	}
	slices.Sort(all)
	all = slices.Compact(all)
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
	if len(all) < 32 {
		return nil, fmt.Errorf("%s: has %d sentences; want 32 or more", path, len(all))
	}
	rand.New(rand.NewPCG(17, 17)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, nil
}

// embeddings is the body of a request for vectors.
type embeddings struct {
	Model  string `json:"model"`
	Input  any    `json:"input"`
	Format string `json:"encoding_format"`
}

// newWorkloads makes them of sentences: each alone, and 32 of any lengths together.
func newWorkloads(sentences []string, format string) ([]workload, error) {
	list := []workload{
		{name: "single sentences", sentences: 1, connections: []int{1, 4, 16, 64}},
		{name: "batches of 32", sentences: 32, connections: []int{1, 2, 4, 8}},
	}
	for i := range list {
		w := &list[i]
		for n := range requests {
			texts := make([]string, w.sentences)
			for k := range texts {
				texts[k] = sentences[(n*w.sentences+k)%len(sentences)]
			}
			q := embeddings{Model: modelName, Input: texts, Format: format}
			if w.sentences == 1 {
				q.Input = texts[0]
			}
			raw, err := json.Marshal(q)
			if err != nil {
				return nil, err
			}
			w.bodies = append(w.bodies, raw)
		}
	}
	return list, nil
}

// targets are the workload's requests to a server.
func (w workload) targets(url string) vegeta.Targeter {
	header := map[string][]string{"Content-Type": {"application/json"}}
	list := make([]vegeta.Target, len(w.bodies))
	for i, body := range w.bodies {
		list[i] = vegeta.Target{Method: "POST", URL: url, Body: body, Header: header}
	}
	return vegeta.NewStaticTargeter(list...)
}
