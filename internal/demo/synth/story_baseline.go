package synth

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// Baseline is a way of answering without understanding, and the share of answers
// that are exactly right.
type Baseline struct {
	Name       string
	ExactMatch float64
}

// StoryBaselines measures trivial ways of answering the questions of heldOut. What
// is most frequent is counted in train.
func StoryBaselines(train, heldOut []Story) []Baseline {
	counts := map[string]map[string]int{}
	count := func(kind, answer string) {
		if counts[kind] == nil {
			counts[kind] = map[string]int{}
		}
		counts[kind][answer]++
	}
	const anyKind = ""
	for _, s := range train {
		for _, t := range s.Turns {
			count(anyKind, t.Answer)
			count(questionWord(t), t.Answer)
		}
	}
	frequent := map[string]string{}
	for kind, n := range counts {
		frequent[kind] = slices.MaxFunc(slices.Sorted(maps.Keys(n)), func(a, b string) int { return cmp.Compare(n[a], n[b]) })
	}
	stream := random.New(1, "baseline")
	baselines := []struct {
		name   string
		answer func(Story, Turn) string
	}{
		{"most frequent answer", func(Story, Turn) string { return frequent[anyKind] }},
		{"a person of the story by chance", func(s Story, _ Turn) string {
			all := mentioned(s.Text, names())
			return all[stream.IntN(len(all))]
		}},
		{"most frequent answer to the question's first word", func(_ Story, t Turn) string { return frequent[questionWord(t)] }},
		{"name, thing or sentence about a room that the story has last", func(s Story, t Turn) string {
			switch questionWord(t) {
			case "Who":
				return last(mentioned(s.Text, names()))
			case "What":
				return "the " + last(mentioned(s.Text, things))
			default:
				return last(whereabouts(s.Text))
			}
		}},
	}
	var out []Baseline
	for _, b := range baselines {
		right, all := 0, 0
		for _, s := range heldOut {
			for _, t := range s.Turns {
				if b.answer(s, t) == t.Answer {
					right++
				}
				all++
			}
		}
		out = append(out, Baseline{b.name, float64(right) / float64(max(all, 1))})
	}
	return out
}

// questionWord is a question's first word, which tells its kind.
func questionWord(t Turn) string {
	word, _, _ := strings.Cut(t.Question, " ")
	return word
}

// mentioned lists the words of a text that are in a list, as they come.
func mentioned(text string, list []string) []string {
	var out []string
	for _, word := range strings.Fields(text) {
		if word = strings.TrimSuffix(word, "."); slices.Contains(list, word) {
			out = append(out, word)
		}
	}
	return out
}

// whereabouts lists the sentences of a story that mention a room, as answers are
// written.
func whereabouts(text string) []string {
	var out []string
	for sentence := range strings.SplitSeq(strings.TrimSuffix(text, "."), ". ") {
		if len(mentioned(sentence, rooms)) > 0 {
			out = append(out, strings.Replace(sentence, "The ", "the ", 1))
		}
	}
	return out
}

// last returns the last of a list, "" of none.
func last(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

func names() []string {
	out := make([]string, len(characters))
	for i, c := range characters {
		out[i] = c.name
	}
	return out
}
