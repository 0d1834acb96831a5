package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// set is a data set with the task it is for and a recipe for two cores.
type set struct {
	name, task string
	labels     bool                            // an example is right or wrong
	search     bool                            // pictures are found for captions, and captions for pictures
	recipe     []string                        // settings of unimo finetune, over those of its preset
	statistics bool                            // models see statistics of colours and edges, not pixels
	metric     string                          // that is shown first (empty: the task's)
	also       []string                        // metrics shown beside it
	test       []string                        // flags of unimo evaluate
	rows       func(from string) (rows, error) // of all splits
}

// example is a line of a split: a question and its answer, a hypothesis and its label, a caption and no text.
type example struct {
	picture      string // file
	image        string // its name in the prepared data
	text, target string
}

// rows are the examples of the splits train, dev and test.
type rows map[string][]example

var sets = []set{
	{name: "snli-ve", task: "snli-ve", labels: true, rows: entailment, recipe: []string{"epochs=8"}},
	{name: "easy-vqa", task: "vqa", labels: true, rows: easy, statistics: true, recipe: []string{
		"epochs=3", "batch_size=64", "learning_rate=1e-3", "initializer_range=0.1", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0",
	}},
	{name: "daquar", task: "vqa", labels: true, rows: daquar, recipe: []string{"epochs=4", "batch_size=32", "learning_rate=1e-3"}},
	{name: "flickr8k", task: "coco-caption", rows: captioned, recipe: []string{"max_steps=600", "batch_size=32", "learning_rate=1e-3"}},
	{
		name: "flickr8k-search", task: "flickr8k", rows: captioned, search: true, metric: "image_recall@10",
		also: []string{"image_recall@1", "image_recall@5", "text_recall@1", "text_recall@5", "text_recall@10"}, test: []string{"two_stage=1"},
		recipe: []string{"epochs=5", "contrast_epochs=5", "eval_candidates=1"},
	},
}

// small is the size of a model from random weights: a run takes a minute or two on two cores.
var small = []string{"hidden_size=128", "num_hidden_layers=2", "num_attention_heads=4", "image_size=64", "patch_size=16"}

// splits are those of every data set.
var splits = []string{"train", "dev", "test"}

// splitSeed is any number; it is fixed so that the splits are always the same.
const splitSeed = 1

// held moves the examples of a share of the pictures of one split to another.
func (r rows) held(from, to string, share float64) {
	all := map[string]bool{}
	for _, x := range r[from] {
		all[x.image] = true
	}
	images := slices.Sorted(maps.Keys(all))
	out := map[string]bool{}
	for _, i := range random.New(splitSeed, to).Perm(len(images))[:int(share*float64(len(images)))] {
		out[images[i]] = true
	}
	examples := r[from]
	r[from] = nil
	for _, x := range examples {
		split := from
		if out[x.image] {
			split = to
		}
		r[split] = append(r[split], x)
	}
}

// entailment has SNLI-VE's lines about Flickr8k's photographs. Of those to train on a fifth of the pictures choose.
func entailment(from string) (rows, error) {
	r := rows{}
	for split, file := range map[string]string{"train": "train.flickr8k.tsv", "test": "dev.flickr8k.tsv"} {
		err := table(filepath.Join(from, "snli-ve", file), '\t', []string{"flickr8k_image", "hypothesis", "gold_label"}, func(v []string) {
			r[split] = append(r[split], example{filepath.Join(from, "flickr8k", "images", v[0]), v[0], v[1], v[2]})
		})
		if err != nil {
			return nil, err
		}
	}
	r.held("train", "dev", 0.2)
	return r, nil
}

// easy has easy-VQA's questions. Of the pictures to train on a tenth choose.
func easy(from string) (rows, error) {
	r := rows{}
	for _, split := range []string{"train", "test"} {
		dir := filepath.Join(from, "easy-vqa", split)
		raw, err := os.ReadFile(filepath.Join(dir, "questions.json"))
		if err != nil {
			return nil, err
		}
		var questions [][3]any
		if err := json.Unmarshal(raw, &questions); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		for _, q := range questions {
			image := fmt.Sprintf("%v.png", q[2])
			r[split] = append(r[split], example{filepath.Join(dir, "images", image), split + "-" + image, fmt.Sprint(q[0]), fmt.Sprint(q[1])})
		}
	}
	r.held("train", "dev", 0.1)
	return r, nil
}

// daquar has no official test set here: a tenth of the pictures is scored, a tenth of the others chooses.
func daquar(from string) (rows, error) {
	r := rows{}
	dir := filepath.Join(from, "daquar")
	err := table(filepath.Join(dir, "train.csv"), ',', []string{"image_id", "question", "answer"}, func(v []string) {
		r["train"] = append(r["train"], example{filepath.Join(dir, "images", v[0]+".jpg"), v[0] + ".jpg", v[1], v[2]})
	})
	if err != nil {
		return nil, err
	}
	r.held("train", "test", 0.1)
	r.held("train", "dev", 0.11)
	return r, nil
}

// chosenImages at the end of Flickr8k's list to train on choose the model.
const chosenImages = 500

// captioned has Flickr8k's captions, of which an example is one. Its official dev list is scored.
func captioned(from string) (rows, error) {
	dir := filepath.Join(from, "flickr8k")
	split := map[string]string{}
	for list, name := range map[string]string{"train.txt": "train", "dev.txt": "test"} {
		raw, err := os.ReadFile(filepath.Join(dir, list))
		if err != nil {
			return nil, err
		}
		images := strings.Fields(string(raw))
		for i, image := range images {
			split[image] = name
			if name == "train" && i >= len(images)-chosenImages {
				split[image] = "dev"
			}
		}
	}
	r := rows{}
	err := table(filepath.Join(dir, "captions.csv"), ',', []string{"image", "caption"}, func(v []string) {
		if s := split[v[0]]; s != "" {
			r[s] = append(r[s], example{filepath.Join(dir, "images", v[0]), v[0], "", v[1]})
		}
	})
	return r, err
}

// table reads the columns of some names.
func table(path string, comma rune, columns []string, line func(values []string)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := csv.NewReader(f)
	in.Comma, in.LazyQuotes, in.FieldsPerRecord = comma, true, -1
	var at []int
	for {
		values, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if at == nil {
			for _, name := range columns {
				at = append(at, slices.Index(values, name))
			}
			if slices.Contains(at, -1) {
				return fmt.Errorf("%s: columns %q, want %q", path, values, columns)
			}
			continue
		}
		picked := make([]string, len(at))
		for i, column := range at {
			if column < len(values) {
				picked[i] = values[column]
			}
		}
		line(picked)
	}
}
