package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/tokenizer"
)

// Sizes of the workloads.
const (
	maxTokens = 512 // of a sequence

	sstBatch         = 32
	stepsPerRound    = 3 // of shuffled batches
	sortedPerRound   = 6 // of length-sorted batches, spread over all lengths
	raggedPerRound   = 4
	equalPerRound    = 4
	equalLength      = 24 // tokens, about SST-2 dev's mean
	singles          = 50
	passageBatch     = 8
	passageFrom      = 330 // tokens
	passageTo        = 470
	coqaFrom         = 300 // tokens of a source of CoQA's shape
	coqaTo           = 480
	coqaBeams        = 3
	answerFrom       = 2 // tokens of an answer
	answerTo         = 6
	gigawordBatch    = 32
	gigawordSource   = 40
	gigawordTarget   = 10
	gigawordBeams    = 5
	searchesPerRound = 2 // of Gigaword's shape; of CoQA's one for each length of an answer
	imageRegions     = 101
	groupsPerBatch   = 2
	negatives        = 20 // of a group, half of them images
	groupBatches     = 16
	scoredImages     = 96
	scoredCaptions   = 2 // of a batch
	scoredBatches    = 16
	entailedPairs    = 4 // of a batch; the reference's 12 take minutes here
	adversarialSteps = 4
	askedPairs       = 32
	askedPerRound    = 2
	captionedImages  = 8
	captionLength    = 20
	captionBeams     = 5
	answers          = 3129 // as in the papers on VQA v2
	encodeBatch      = 4
	encodesPerRound  = 2
	vitPictures      = 16 // of a batch
	litePictures     = 128
	longText         = 4000 // bytes, which are more than maxTokens tokens of prose
)

// corpus is the real data.
type corpus struct {
	dir        string
	tok        *tokenizer.Tokenizer
	train, dev []labelled.Record
	trainText  []string
	devText    []string
	stories    []string
}

// dataDir is the folder of real data.
func dataDir() string {
	if dir := os.Getenv("UNIMO_DATA"); dir != "" {
		return dir
	}
	return filepath.Join("..", "shared", "data")
}

func readCorpus(dir string) (*corpus, error) {
	c := &corpus{dir: dir}
	var err error
	if c.tok, err = tokenizer.Load(filepath.Join(dir, "unimo-dict")); err != nil {
		return nil, err
	}
	if c.train, c.trainText, err = c.sst2(filepath.Join(dir, "sst2", "train.tsv")); err != nil {
		return nil, err
	}
	if c.dev, c.devText, err = c.sst2(filepath.Join(dir, "sst2", "dev.tsv")); err != nil {
		return nil, err
	}
	for _, name := range []string{"dev_full_stories.json", "train_recovered.json"} {
		stories, err := readStories(filepath.Join(dir, "coqa", name))
		if err != nil {
			return nil, err
		}
		c.stories = append(c.stories, stories...)
	}
	return c, nil
}

func (c *corpus) sst2(path string) ([]labelled.Record, []string, error) {
	examples, _, err := labelled.Read(path, labelled.Schema{Labels: []string{"negative", "positive"}}, labelled.ReadOptions{})
	if err != nil {
		return nil, nil, err
	}
	texts := make([]string, len(examples))
	for i, x := range examples {
		texts[i] = x.TextA
	}
	records, _ := c.encoder().EncodeAll(examples)
	return records, texts, nil
}

func (c *corpus) encoder() *labelled.Encoder {
	return &labelled.Encoder{Tokenizer: c.tok, MaxLen: maxTokens}
}

// encode returns the tokens of a text.
func (c *corpus) encode(text string) []int32 {
	r, _ := c.encoder().Encode(labelled.Example{TextA: text})
	return r.Tokens
}

func readStories(path string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Data []struct {
			Story string `json:"story"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	stories := make([]string, len(file.Data))
	for i, d := range file.Data {
		stories[i] = d.Story
	}
	return stories, nil
}

// files are the names of the batch files and how they are made for a number of rounds.
func (c *corpus) files(rounds int) map[string]func() (workFile, error) {
	return map[string]func() (workFile, error){
		"sst2-shuffled": func() (workFile, error) {
			order := random.New(1, "order").Perm(len(c.train))
			return cut(gather(c.train, c.trainText, batches.Plan(labelled.Lengths(c.train), order, sstBatch, false)), rounds, stepsPerRound)
		},
		"vit-pixels":  func() (workFile, error) { return c.seen(vitB16, vitPictures, rounds, false) },
		"vit-files":   func() (workFile, error) { return c.seen(vitB16, vitPictures, rounds, true) },
		"lite-pixels": func() (workFile, error) { return c.seen(efficientNetLite, litePictures, rounds, false) },
		"lite-files":  func() (workFile, error) { return c.seen(efficientNetLite, litePictures, rounds, true) },
		"sst2-sorted": func() (workFile, error) { return c.sorted(rounds), nil },
		"passages": func() (workFile, error) {
			return cut(inBatches(c.passages(passageFrom, passageTo), nil, passageBatch), rounds, 1)
		},
		"single": func() (workFile, error) {
			return repeated(gather(c.dev[:singles], c.devText, batches.Plan(labelled.Lengths(c.dev[:singles]), batches.Sequence(singles), 1, false)), rounds), nil
		},
		"ragged": func() (workFile, error) {
			full := len(c.dev) / sstBatch * sstBatch
			return cut(gather(c.dev, c.devText, batches.Plan(labelled.Lengths(c.dev), batches.Sequence(full), sstBatch, false)), rounds, raggedPerRound)
		},
		"equal": func() (workFile, error) {
			var order []int
			for i, r := range c.train {
				if len(r.Tokens) == equalLength {
					order = append(order, i)
				}
			}
			full := len(order) / sstBatch * sstBatch
			return cut(gather(c.train, c.trainText, batches.Plan(labelled.Lengths(c.train), order[:full], sstBatch, false)), rounds, equalPerRound)
		},
		"coqa-train": func() (workFile, error) { return cut(c.answered(), rounds, 1) },
		"coqa-search": func() (workFile, error) {
			batches := inBatches(c.joined(coqaFrom, coqaTo), nil, passageBatch)
			return cut(searched(batches, coqaBeams, answerFrom, answerTo), rounds, answerTo-answerFrom+1)
		},
		"gigaword-search": func() (workFile, error) {
			batches := inBatches(c.passages(gigawordSource, gigawordSource), nil, gigawordBatch)
			return cut(searched(batches, gigawordBeams, gigawordTarget, gigawordTarget), rounds, searchesPerRound)
		},
		"groups": func() (workFile, error) {
			batches, err := c.groups()
			if err != nil {
				return workFile{}, err
			}
			return cut(batches, rounds, 1)
		},
		"pairs": func() (workFile, error) {
			batches, err := c.pairs()
			if err != nil {
				return workFile{}, err
			}
			return cut(batches, rounds, 1)
		},
		"entailment": func() (workFile, error) {
			batches, err := c.questions(filepath.Join("snli-ve", "train.flickr8k.tsv"), '\t', "hypothesis", entailedPairs)
			if err != nil {
				return workFile{}, err
			}
			for i := range batches {
				batches[i].Steps = adversarialSteps
			}
			return cut(batches, rounds, 1)
		},
		"questions": func() (workFile, error) {
			batches, err := c.questions(filepath.Join("daquar", "train.csv"), ',', "question", askedPairs)
			if err != nil {
				return workFile{}, err
			}
			return cut(batches, rounds, askedPerRound)
		},
		"images": func() (workFile, error) {
			b := batch{Images: captionedImages, Regions: imageRegions}
			return cut(searched([]batch{b}, captionBeams, captionLength, captionLength), rounds, 1)
		},
		"long":  func() (workFile, error) { return cut(c.long(), rounds, encodesPerRound) },
		"first": func() (workFile, error) { return repeated(gather(c.dev, c.devText, [][]int{{0}}), rounds), nil },
	}
}

// gather makes batches of records.
func gather(records []labelled.Record, texts []string, plan [][]int) []batch {
	batches := make([]batch, len(plan))
	for i, idx := range plan {
		for _, r := range idx {
			batches[i].Sequences = append(batches[i].Sequences, records[r].Tokens)
			batches[i].Labels = append(batches[i].Labels, int32(records[r].Class))
			batches[i].Texts = append(batches[i].Texts, texts[r])
		}
	}
	return batches
}

// cut makes rounds of the given number of batches, from the beginning again when
// there are no more.
func cut(batches []batch, rounds, size int) (workFile, error) {
	if len(batches) < size {
		return workFile{}, fmt.Errorf("%d batches of data, want at least %d", len(batches), size)
	}
	var w workFile
	next := 0
	for r := range rounds + 1 {
		n := size
		if r == 0 {
			n = 2 // at another length compilers work again and memory grows
		}
		round := make([]batch, n)
		for i := range round {
			round[i] = batches[next%len(batches)]
			next++
		}
		w.Rounds = append(w.Rounds, round)
	}
	return w, nil
}

// repeated is the same batches in every round.
func repeated(batches []batch, rounds int) workFile {
	return workFile{Rounds: slices.Repeat([][]batch{batches}, rounds+1)}
}

// sorted makes batches of the training set sorted by length. A round has batches of
// all lengths, evenly spread over the set, in each round others, so that the
// measured rounds have as many tokens a step as a whole epoch.
func (c *corpus) sorted(rounds int) workFile {
	order := batches.Sequence(len(c.train))
	slices.SortStableFunc(order, func(a, b int) int { return len(c.train[a].Tokens) - len(c.train[b].Tokens) })
	plan := batches.Plan(labelled.Lengths(c.train), order, sstBatch, false)
	var w workFile
	for r := range rounds + 1 {
		var chosen [][]int
		offset := max(0, float64(r)-0.5) / float64(rounds)
		for i := range sortedPerRound {
			at := (float64(i) + offset) / sortedPerRound
			chosen = append(chosen, plan[int(at*float64(len(plan)))])
		}
		w.Rounds = append(w.Rounds, gather(c.train, c.trainText, chosen))
	}
	return w
}

// passages are the sequences of the stories, as they come, of lengths in a range. A longer
// story is cut to one of them, a shorter one left out.
func (c *corpus) passages(from, to int) [][]int32 {
	var sequences [][]int32
	for i, story := range c.stories {
		tokens := c.encode(story)
		if len(tokens) > to { // lengths from one end of the range to the other, and no pattern
			tokens = tokens[:within(from, to, i*37)]
		}
		if len(tokens) >= from {
			sequences = append(sequences, tokens)
		}
	}
	return sequences
}

// joined are sequences of lengths that go through a range, and no pattern: stories one
// after the other, cut where a sequence is full.
func (c *corpus) joined(from, to int) [][]int32 {
	var sequences [][]int32
	var tokens []int32
	for _, story := range c.stories {
		tokens = append(tokens, c.encode(story)...)
		if want := within(from, to, len(sequences)*37); len(tokens) >= want {
			sequences = append(sequences, slices.Clone(tokens[:want]))
			tokens = tokens[:0]
		}
	}
	return sequences
}

// answered makes batches of CoQA's shape, with words of the story for answers.
func (c *corpus) answered() []batch {
	batches := inBatches(c.joined(coqaFrom, coqaTo), nil, passageBatch)
	for i := range batches {
		for j, s := range batches[i].Sequences {
			answer := slices.Clone(s[1:within(answerFrom, answerTo, i+j)])
			batches[i].Targets = append(batches[i].Targets, append(answer, c.tok.MASK()))
		}
	}
	return batches
}

// paired makes a batch of pairs of an image and a caption of a set.
type paired struct {
	batch
	c             *corpus
	set           *captions.Set
	images, texts map[int]int // the numbers in the batch
}

func (c *corpus) paired(set *captions.Set) *paired {
	return &paired{batch: batch{Regions: imageRegions}, c: c, set: set, images: map[int]int{}, texts: map[int]int{}}
}

func (p *paired) add(image, caption int) {
	if _, ok := p.images[image]; !ok {
		p.images[image] = p.Images
		p.Images++
	}
	if _, ok := p.texts[caption]; !ok {
		p.texts[caption] = len(p.Sequences)
		p.Sequences = append(p.Sequences, p.c.encode(p.set.Captions[caption].Text))
	}
	p.Pairs = append(p.Pairs, [2]int{p.images[image], p.texts[caption]})
}

func (c *corpus) captionSet(split string) (*captions.Set, error) {
	return captions.Read(filepath.Join(c.dir, "flickr8k"), split)
}

// groups makes batches to learn from. A group is a pair that fits, then its caption with other
// images, then its image with as many other captions.
func (c *corpus) groups() ([]batch, error) {
	set, err := c.captionSet("train")
	if err != nil {
		return nil, err
	}
	drawn := captions.Groups{Set: set, Negatives: negatives, Seed: 1}
	order := random.New(1, "order").Perm(len(set.Captions))
	var batches []batch
	for i := 0; i+groupsPerBatch <= len(order) && len(batches) < groupBatches; i += groupsPerBatch {
		p := c.paired(set)
		p.Group = 1 + negatives
		for _, caption := range order[i : i+groupsPerBatch] {
			g := drawn.At(0, caption)
			for _, image := range g.Images {
				p.add(image, g.Captions[0])
			}
			for _, other := range g.Captions[1:] {
				p.add(g.Images[0], other)
			}
		}
		batches = append(batches, p.batch)
	}
	return batches, nil
}

// pairs makes batches to score: captions one after the other, each with all images.
func (c *corpus) pairs() ([]batch, error) {
	set, err := c.captionSet("dev")
	if err != nil {
		return nil, err
	}
	var batches []batch
	for first := 0; first+scoredCaptions <= len(set.Captions) && len(batches) < scoredBatches; first += scoredCaptions {
		p := c.paired(set)
		for caption := range scoredCaptions {
			for image := range scoredImages {
				p.add(image, first+caption)
			}
		}
		batches = append(batches, p.batch)
	}
	return batches, nil
}

// questions makes batches of texts of a table's column, each with an image of its own. Labels go from 0 to 2.
func (c *corpus) questions(file string, comma rune, column string, size int) ([]batch, error) {
	raw, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil {
		return nil, err
	}
	table := csv.NewReader(bytes.NewReader(raw))
	table.Comma, table.LazyQuotes = comma, true
	lines, err := table.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	at := slices.Index(lines[0], column)
	if at < 0 {
		return nil, fmt.Errorf("%s: no column %s", file, column)
	}
	var sequences [][]int32
	for _, line := range lines[1:] {
		sequences = append(sequences, c.encode(line[at]))
	}
	batches := inBatches(sequences, nil, size)
	for i := range batches {
		b := &batches[i]
		b.Images, b.Regions = size, imageRegions
		for j := range size {
			b.Labels[j] = int32(j % 3)
			b.Pairs = append(b.Pairs, [2]int{j, j})
		}
	}
	return batches, nil
}

// searched makes batches to search for targets, whose lengths go through a range.
func searched(batches []batch, beams, from, to int) []batch {
	for i := range batches {
		batches[i].Beams, batches[i].Length = beams, within(from, to, i)
	}
	return batches
}

// within goes through a range with i, again and again.
func within(from, to, i int) int { return from + i%(to-from+1) }

// long makes batches of joined stories, each cut to the longest sequence.
func (c *corpus) long() []batch {
	var sequences [][]int32
	var texts []string
	var b strings.Builder
	for _, story := range c.stories {
		b.WriteString(story)
		b.WriteString(" ")
		if b.Len() < longText {
			continue
		}
		text := strings.ToValidUTF8(b.String()[:longText], "")
		b.Reset()
		if tokens := c.encode(text); len(tokens) == maxTokens {
			sequences, texts = append(sequences, tokens), append(texts, text)
		}
	}
	return inBatches(sequences, texts, encodeBatch)
}

// inBatches makes full batches with labels that alternate.
func inBatches(sequences [][]int32, texts []string, size int) []batch {
	var batches []batch
	for i := 0; i+size <= len(sequences); i += size {
		b := batch{Sequences: sequences[i : i+size]}
		if texts != nil {
			b.Texts = texts[i : i+size]
		}
		for j := range size {
			b.Labels = append(b.Labels, int32(j%2))
		}
		batches = append(batches, b)
	}
	return batches
}
