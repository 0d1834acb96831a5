package synth

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
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
	Answer   string // a name, "nobody", "the ball", "nothing" or where somebody or something is, in the story's words
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

func (storyWorld) sample(s *random.Stream) plot           { return samplePlot(s) }
func (storyWorld) realise(p plot, s *random.Stream) Story { return tell(p, s) }
func (storyWorld) fits(t Story) bool                      { return len(t.Turns) >= minTurns }
func (storyWorld) classes() int                           { return 1 }
func (storyWorld) class(plot) int                         { return 0 }
func (storyWorld) parts(t Story) []string                 { return strings.Fields(t.Text) }
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
// stories, in the form of such stories. Each has a held-out triple.
func ExampleStories() []Story {
	return []Story{
		{"example-1", "Mary is in the garden. John was in the kitchen. Mary picked up the ball. Mary went to the kitchen. Mary gave John the ball.", []Turn{
			{"Who has the ball?", "John"},
			{"Where is he?", "John was in the kitchen"},
			{"Who gave it to him?", "Mary"},
			{"Where is she?", "Mary went to the kitchen"},
			{"What does she have?", "nothing"},
		}},
		{"example-2", "Anna is in the hall. Peter was in the office. Peter soon found the key. He ran to the garden.", []Turn{
			{"Where is the key?", "Peter ran to the garden, he has it"},
			{"And Anna?", "Anna is in the hall"},
			{"What does she have?", "nothing"},
			{"Where is everybody?", "Anna is in the hall, Peter ran to the garden"},
			{"What does he have?", "the key"},
		}},
		{"example-3", "Mary was in the cellar. Anna is in the hall. Mary now has the hat. The hat stayed in the cellar. Mary ran to the garden.", []Turn{
			{"Who has the hat?", "nobody"},
			{"Where is it?", "the hat stayed in the cellar"},
			{"And Anna?", "Anna is in the hall"},
			{"And Mary?", "Mary ran to the garden"},
			{"What does she have?", "nothing"},
		}},
	}
}
