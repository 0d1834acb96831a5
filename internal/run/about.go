package run

import (
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
)

// grouped writes a number with a comma before every third digit from the right.
func grouped(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// excerpt is the beginning of a text, in quotes.
func excerpt(text string) string {
	const runes = 60
	if r := []rune(text); len(r) > runes {
		text = string(r[:runes]) + " …"
	}
	return fmt.Sprintf("%q", text)
}

// warnShared says that a model is also scored on what it is trained on.
func warnShared(log *slog.Logger, shared, dev int, what string) {
	if shared > 0 {
		log.Warn(fmt.Sprintf("%d of %d dev %s are in the training data too: the score says less about new ones", shared, dev, what))
	}
}

// about describes the data of a run, and warns of what makes its score worth little.
func (c *classification) about(log *slog.Logger) []string {
	warnShared(log, labelled.Shared(c.train, c.devSet), len(c.devSet), "examples")
	first := c.train[0]
	if !c.preset.Schema.Regression && !slices.ContainsFunc(c.train, func(x labelled.Example) bool { return x.Class != first.Class }) {
		log.Warn(fmt.Sprintf("all %d training examples have the label %s: a model learns nothing from them but that", len(c.train), first.Label))
	}
	var quoted []string
	for part := range first.Texts {
		quoted = append(quoted, excerpt(part))
	}
	return []string{
		fmt.Sprintf("%s training examples: %s", grouped(len(c.train)), Shares(c.preset.Schema, c.train)),
		fmt.Sprintf("%s dev examples: %s", grouped(len(c.devSet)), Shares(c.preset.Schema, c.devSet)),
		"the first: " + strings.Join(quoted, " / ") + " is " + first.Label,
	}
}

func (g *generation) about(log *slog.Logger) []string {
	seed := maphash.MakeSeed()
	key := func(x seq2seq.Example) uint64 {
		return maphash.String(seed, x.Knowledge+"\x00"+strings.Join(x.Sources, "\x00"))
	}
	seen := make(map[uint64]bool, len(g.train))
	for _, x := range g.train {
		seen[key(x)] = true
	}
	shared := 0
	for _, x := range g.devSet {
		if seen[key(x)] {
			shared++
		}
	}
	warnShared(log, shared, len(g.devSet), "examples")
	first := g.train[0]
	source := ""
	if n := len(first.Sources); n > 0 {
		source = first.Sources[n-1]
	}
	return []string{
		fmt.Sprintf("%s training examples, %s dev", grouped(len(g.train)), grouped(len(g.devSet))),
		fmt.Sprintf("the first: %s gives %s", excerpt(source), excerpt(first.Target)),
	}
}

func (j *retrieval) about(log *slog.Logger) []string {
	seen := map[string]bool{}
	for _, name := range j.train.Images {
		seen[name] = true
	}
	shared := 0
	for _, name := range j.devSet.Images {
		if seen[name] {
			shared++
		}
	}
	warnShared(log, shared, len(j.devSet.Images), "images")
	of := func(s *captions.Set) string {
		return fmt.Sprintf("%s images with %s captions", grouped(len(s.Images)), grouped(len(s.Captions)))
	}
	first := j.train.Captions[0]
	return []string{
		fmt.Sprintf("%s to train on, %s dev", of(j.train), of(j.devSet)),
		fmt.Sprintf("the first: %s of %s", excerpt(first.Text), j.train.Images[first.Image]),
	}
}
