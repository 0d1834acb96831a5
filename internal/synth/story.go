package synth

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Story is a synthetic story and a conversation about it.
type Story struct {
	ID    string
	Text  string // some short sentences
	Turns []Turn
}

// Turn is a question about a story and its answer. Later questions need the turns
// before: see the package's text.
type Turn struct {
	Question string
	Answer   string // a name, "the kitchen", "the ball", "yes", "no", "nobody", "nothing"
}

// Stories draws train stories in which no held-out triple of person, thing and
// room ever holds, and heldOut stories in which one does at some time (see the
// package's text). No two stories have the same text, and each word of the
// held-out stories occurs in the training stories.
//
// The same seed gives the same stories, on every machine; asking for fewer gives
// the first of them. The training set does not depend on heldOut.
func Stories(seed uint64, train, heldOut int) (trainSet, heldOutSet []Story) {
	a, b := split(storyWorld{}, seed, train, heldOut)
	return stories("train", a), stories("held-out", b)
}

func stories(set string, drawn []drawn[plot, Story]) []Story {
	out := make([]Story, len(drawn))
	for i, d := range drawn {
		out[i] = d.form
		out[i].ID = fmt.Sprintf("%s-%d", set, i+1)
	}
	return out
}

// storyWorld is the [world] of stories.
type storyWorld struct{}

func (storyWorld) sample(s *stream) plot           { return samplePlot(s) }
func (storyWorld) realise(p plot, s *stream) Story { return tell(p, s) }
func (storyWorld) fits(t Story) bool               { return len(t.Turns) >= minTurns }
func (storyWorld) classes() int                    { return 1 }
func (storyWorld) class(plot) int                  { return 0 }
func (storyWorld) parts(t Story) []string          { return strings.Fields(t.Text) }
func (storyWorld) unseen(p plot) bool {
	for _, t := range p.triples() {
		if heldOutTriple(t) {
			return true
		}
	}
	return false
}

// WriteStories writes stories in the form of CoQA's files, with the source
// "synthetic". There are no spans, which CoQA writes as "unknown".
func WriteStories(w io.Writer, stories []Story) error {
	type question struct {
		Text string `json:"input_text"`
		Turn int    `json:"turn_id"`
	}
	type answer struct {
		Start int    `json:"span_start"`
		End   int    `json:"span_end"`
		Span  string `json:"span_text"`
		Text  string `json:"input_text"`
		Turn  int    `json:"turn_id"`
	}
	type item struct {
		Source    string     `json:"source"`
		ID        string     `json:"id"`
		Filename  string     `json:"filename"`
		Story     string     `json:"story"`
		Questions []question `json:"questions"`
		Answers   []answer   `json:"answers"`
		Name      string     `json:"name"`
	}
	file := struct {
		Version string `json:"version"`
		Data    []item `json:"data"`
	}{"1.0", make([]item, len(stories))}
	for i, s := range stories {
		x := item{Source: "synthetic", ID: s.ID, Filename: s.ID, Name: s.ID, Story: s.Text}
		for j, t := range s.Turns {
			x.Questions = append(x.Questions, question{t.Question, j + 1})
			x.Answers = append(x.Answers, answer{-1, -1, "unknown", t.Answer, j + 1})
		}
		file.Data[i] = x
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(file)
}

// ExampleStories are stories and conversations worth trying on a model trained on
// stories, in the form of such stories.
func ExampleStories() []Story {
	return []Story{
		{"example-1", "Mary is in the kitchen. John sat in the garden. Mary picked up the ball. Mary went to the garden. Mary gave John the ball.", []Turn{
			{"Who has the ball?", "John"},
			{"Where is he?", "the garden"},
			{"Who gave it to him?", "Mary"},
			{"Is she in the kitchen?", "no"},
			{"What does she have?", "nothing"},
		}},
		{"example-2", "Anna stood in the office. Tom was in the hall. Tom soon found the key. Anna then took the lamp. Tom walked to the cellar.", []Turn{
			{"Who has the lamp?", "Anna"},
			{"And the key?", "Tom"},
			{"Where is he?", "the cellar"},
			{"And the lamp?", "the office"},
			{"Does he have it?", "no"},
		}},
		{"example-3", "Lucy is in the attic. Paul was in the hall. Lucy now has the hat. Paul moved to the attic. Lucy passed Paul the hat. The hat stayed in the attic.", []Turn{
			{"Where is Lucy?", "the attic"},
			{"And the hat?", "the attic"},
			{"Does she have it?", "no"},
			{"Who has it?", "nobody"},
		}},
	}
}
