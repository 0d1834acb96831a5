package synth

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
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
	for _, s := range train {
		for _, t := range s.Turns {
			k := questionWord(t)
			if counts[k] == nil {
				counts[k] = map[string]int{}
			}
			counts[k][t.Answer]++
		}
	}
	frequent := map[string]string{}
	for k, n := range counts {
		frequent[k] = slices.MaxFunc(slices.Sorted(maps.Keys(n)), func(a, b string) int { return cmp.Compare(n[a], n[b]) })
	}
	rng := rand.New(rand.NewPCG(1, 0))
	baselines := []struct {
		name   string
		answer func(Story, Turn) string
	}{
		{`always "yes"`, func(Story, Turn) string { return "yes" }},
		{"a person of the story by chance", func(s Story, _ Turn) string {
			all := mentioned(s.Text, names())
			return all[rng.IntN(len(all))]
		}},
		{"most frequent answer to the question's first word", func(_ Story, t Turn) string { return frequent[questionWord(t)] }},
		{"name, room or thing that the story mentions last", func(s Story, t Turn) string {
			switch questionWord(t) {
			case "Who":
				return last(mentioned(s.Text, names()))
			case "Where", "And":
				return "the " + last(mentioned(s.Text, rooms))
			case "What":
				return "the " + last(mentioned(s.Text, things))
			}
			return "yes"
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
