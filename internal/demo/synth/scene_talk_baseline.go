package synth

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// AnswerBaseline is a way of answering that sees or understands less, and its share of right answers.
type AnswerBaseline struct {
	Name     string
	Accuracy float64
}

// asked is a question or hypothesis with its answer or label.
type asked struct{ kind, text, answer string }

// asks lists the questions of scenes.
func asks(scenes []Scene) (out []asked) {
	for _, scene := range scenes {
		for _, q := range scene.Questions {
			out = append(out, asked{q.Type, q.Text, q.Answer})
		}
	}
	return out
}

// QuestionBaselines measures, on the questions of heldOut, answers that need no understanding. What is
// frequent is counted in train.
func QuestionBaselines(train, heldOut []Scene) []AnswerBaseline {
	learnt, test := asks(train), asks(heldOut)
	frequent := mostFrequent(learnt, func(a asked) string { return a.kind })
	return []AnswerBaseline{
		{"most frequent answer", accuracy(test, always(learnt))},
		{"most frequent answer of the question's type", accuracy(test, func(a asked) string { return frequent[a.kind] })},
		{"the question only (naive Bayes over words and pairs of words)", accuracy(test, textOnly(learnt))},
		{"the picture only (its most frequent answer over other questions)", pictureOnly(heldOut)},
	}
}

// HypothesisBaselines does so for hypotheses. A scene has one of each label, so that the picture alone says nothing.
func HypothesisBaselines(train, heldOut []Scene) []AnswerBaseline {
	list := func(scenes []Scene) (out []asked) {
		for _, scene := range scenes {
			for _, h := range scene.Hypotheses {
				out = append(out, asked{"", h.Text, h.Label})
			}
		}
		return out
	}
	learnt, test := list(train), list(heldOut)
	return []AnswerBaseline{
		{"most frequent label, and the picture only", accuracy(test, always(learnt))},
		{"the hypothesis only (naive Bayes over words and pairs of words)", accuracy(test, textOnly(learnt))},
	}
}

// CaptionBaselines are the shares of true captions among those that take over what is seen of a held-out
// scene and guess the rest, a relation and places as often.
func CaptionBaselines(heldOut []Scene) []AnswerBaseline {
	var ways float64 // relations that hold, of all
	for _, scene := range heldOut {
		for _, r := range relations {
			if r.holds(scene.layout.objects[0].quarter, scene.layout.objects[1].quarter) {
				ways++
			}
		}
	}
	ways /= float64(max(len(heldOut), 1) * len(relations))
	places := 1 / float64(len(quarters)*(len(quarters)-1))
	kinds := float64(len(hues) * len(figures))
	return []AnswerBaseline{
		{"a caption of chance", 2 / (4 * kinds * (kinds - 1)) * (ways + places) / 2},
		{"the things and their sizes, by chance where", (ways + places) / 2},
		{"the things and where they are, by chance how big", 0.25},
	}
}

// accuracy is the share of right answers.
func accuracy(test []asked, answer func(asked) string) float64 {
	right := 0
	for _, a := range test {
		if answer(a) == a.answer {
			right++
		}
	}
	return float64(right) / float64(max(len(test), 1))
}

// mostFrequent finds the most frequent answer of each group.
func mostFrequent(learnt []asked, group func(asked) string) map[string]string {
	counts := map[string]map[string]int{}
	for _, a := range learnt {
		g := group(a)
		if counts[g] == nil {
			counts[g] = map[string]int{}
		}
		counts[g][a.answer]++
	}
	out := map[string]string{}
	for g, n := range counts {
		out[g] = slices.MaxFunc(slices.Sorted(maps.Keys(n)), func(a, b string) int { return cmp.Compare(n[a], n[b]) })
	}
	return out
}

// always gives the most frequent answer of all.
func always(learnt []asked) func(asked) string {
	answer := mostFrequent(learnt, func(asked) string { return "" })[""]
	return func(asked) string { return answer }
}

// textOnly learns to answer from the text alone: naive Bayes over its words and pairs of neighbours, each
// counted once more than it was seen.
func textOnly(learnt []asked) func(asked) string {
	type cell struct{ feature, answer string }
	counts, answers, features := map[cell]float64{}, map[string]float64{}, map[string]bool{}
	for _, a := range learnt {
		answers[a.answer]++
		for f := range textFeatures(a.text) {
			counts[cell{f, a.answer}]++
			features[f] = true
		}
	}
	names := slices.Sorted(maps.Keys(answers))
	return func(a asked) string {
		score := map[string]float64{}
		seen := slices.Sorted(maps.Keys(textFeatures(a.text)))
		for _, name := range names {
			score[name] = math.Log(answers[name])
			for _, f := range seen {
				if features[f] {
					score[name] += math.Log((counts[cell{f, name}] + 1) / (answers[name] + 2))
				}
			}
		}
		return slices.MaxFunc(names, func(a, b string) int { return cmp.Compare(score[a], score[b]) })
	}
}

func textFeatures(text string) map[string]bool {
	out, words := map[string]bool{}, strings.Fields(text)
	for i, w := range words {
		out[w] = true
		if i > 0 {
			out[words[i-1]+" "+w] = true
		}
	}
	return out
}

// pictureOnly answers every question about a scene with what is most often right there, without knowing
// the question: a bound for whoever sees the picture alone.
func pictureOnly(scenes []Scene) float64 {
	var test []asked
	answers := map[string]string{}
	for i, scene := range scenes {
		var others []asked
		stream := random.New(1, "other questions", i)
		for range 50 {
			for _, q := range ask(scene.layout, stream) {
				others = append(others, asked{"", q.Text, q.Answer})
			}
		}
		key := scene.Captions[0]
		answers[key] = always(others)(asked{})
		for _, q := range scene.Questions {
			test = append(test, asked{key, q.Text, q.Answer})
		}
	}
	return accuracy(test, func(a asked) string { return answers[a.kind] })
}
