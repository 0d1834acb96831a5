package run

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/train"
)

// FewExamples is how many examples say something: scores of fewer are shown with a warning.
const FewExamples = 20

// fewNotes says where metrics are over so few examples that they say nothing.
func fewNotes(p *Preset, m train.Numbers) []string {
	examples, images := int(m["examples"]), int(m["images"])
	_, searched := m["images"]
	switch {
	case p.Pretraining && examples < FewExamples:
		return []string{fmt.Sprintf("%s; the numbers say nothing", count(examples, "sample"))}
	case p.Pretraining && searched && images < FewExamples:
		return []string{fmt.Sprintf("%s; recall and the losses of pairs say nothing", count(images, "pair"))}
	case searched && images < FewExamples:
		return []string{fmt.Sprintf("%s searched; recall says nothing among so few", count(images, "picture"))}
	case examples < FewExamples:
		return []string{fmt.Sprintf("%s scored; the numbers say nothing: other examples can give quite different ones", count(examples, "example"))}
	}
	return nil
}

// saysNothing says whether a metric is left out where people read: recall among a handful of pairs
// that pre-training held out.
func saysNothing(p *Preset, m train.Numbers, metric string) bool {
	images, searched := m["images"]
	return p.Pretraining && searched && images < FewExamples && (strings.Contains(metric, "recall@") || strings.HasSuffix(metric, "mean_rank"))
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
