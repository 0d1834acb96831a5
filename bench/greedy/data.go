package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/run"
)

// example is a line of what unimo reads.
type example struct {
	ID        string   `json:"id"`
	Turns     []string `json:"turns"`
	Knowledge string   `json:"knowledge"`
	Target    string   `json:"target"`
	Turn      int      `json:"turn,omitempty"`
	Group     string   `json:"group"`
}

// Of the training data.
const (
	heldConversations = 20 // the last ones choose the best epoch
	repeats           = 3  // how often a question of CoQA is there, whose answers are harder to learn
	heldPhotographs   = 50 // one of so many is asked about in the test alone
)

// makeQuestions makes the folder out with train, dev and two tests, of what lies in the folder of data.
func makeQuestions(data, out string) error {
	learnt, err := conversations(filepath.Join(data, "coqa/train_recovered.json"))
	if err != nil {
		return err
	}
	whole, err := conversations(filepath.Join(data, "coqa/dev_full_stories.json"))
	if err != nil {
		return err
	}
	captions, held, err := gaps(filepath.Join(data, "flickr30k-captions/captions.tsv.gz"))
	if err != nil {
		return err
	}
	cut := max(len(learnt)-heldConversations, 0)
	train := captions
	for range repeats {
		train = append(train, questions(learnt[:cut])...)
	}
	if err := atomicfile.Mkdir(out); err != nil {
		return err
	}
	for _, f := range []struct {
		name     string
		examples []example
	}{{"train", train}, {"dev", questions(learnt[cut:])}, {"test", questions(whole)}, {"gaps", held}} {
		if err := run.WriteLines(out, f.name+".jsonl", len(f.examples), func(i int) any { return f.examples[i] }); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: %d questions\n", f.name, len(f.examples))
	}
	return nil
}

// conversation is an item of CoQA's JSON.
type conversation struct {
	ID        string `json:"id"`
	Story     string `json:"story"`
	Questions []struct {
		Text string `json:"input_text"`
	} `json:"questions"`
	Answers []struct {
		Text  string `json:"input_text"`
		Start int    `json:"span_start"` // of the rationale, in characters
		End   int    `json:"span_end"`
	} `json:"answers"`
}

func conversations(path string) ([]conversation, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct{ Data []conversation }
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file.Data, nil
}

// questions are those of conversations, each with the question and answer before it and, for a passage, with the sentences of its
// rationale and the one before.
func questions(all []conversation) []example {
	var list []example
	for _, c := range all {
		for i, a := range c.Answers {
			x := example{ID: c.ID, Group: c.ID, Turn: i + 1, Target: strings.TrimSpace(strings.TrimRight(a.Text, " ."))}
			x.Knowledge = around([]rune(c.Story), a.Start, a.End)
			if i > 0 {
				x.Turns = append(x.Turns, c.Questions[i-1].Text, c.Answers[i-1].Text)
			}
			x.Turns = append(x.Turns, c.Questions[i].Text)
			if x.Target != "" && x.Knowledge != "" {
				list = append(list, x)
			}
		}
	}
	return list
}

// sentence is one of a story.
var sentence = regexp.MustCompile(`[^.!?\n]+[.!?]*["']?\s*`)

// around returns the sentences that a rationale is in, with the one before.
func around(story []rune, start, end int) string {
	at, first, behind := 0, 0, 0
	for _, s := range sentence.FindAllString(string(story), -1) {
		next := at + len([]rune(s))
		if next <= start {
			first = at
		}
		if at < end {
			behind = next
		}
		at = next
	}
	return strings.TrimSpace(string(story[min(first, behind):behind]))
}

// determiners begin what is asked for.
var determiners = words("a an the two three four some several his her their")

// joints end it.
var joints = words(`a an the two three four some several his her their in on at of with and is are was were while to for from by near next
	over under as that who which behind into onto through down up around it its them against above across along off out before after has have`)

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// gaps are questions of captions, one of each photograph: part of a sentence with "what" for a thing in it, about the
// sentence.
func gaps(path string) (learnt, held []example, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	photograph, n := "", 0
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		id, caption, _ := strings.Cut(strings.ToLower(lines.Text()), "\t")
		x, ok := gap(caption, n)
		if id == photograph || !ok {
			continue
		}
		x.ID, x.Group, x.Knowledge = id, id, caption
		if n%heldPhotographs == 0 {
			held = append(held, x)
		} else {
			learnt = append(learnt, x)
		}
		photograph = id
		n++
	}
	return learnt, held, lines.Err()
}

// gap asks for the nth thing of a caption that it can.
func gap(caption string, n int) (example, bool) {
	const beside = 4 // words of the question before and after the gap
	tokens := strings.Fields(strings.NewReplacer(",", " , ", ".", " . ", "\"", " ").Replace(caption))
	var spans [][2]int
	for i, w := range tokens {
		if !determiners[w] {
			continue
		}
		end := i + 1
		for end < len(tokens) && end < i+4 && !joints[tokens[end]] && !strings.HasSuffix(tokens[end], "ing") && len(tokens[end]) > 1 {
			end++
		}
		if end > i+1 {
			spans = append(spans, [2]int{i, end})
		}
	}
	if len(spans) == 0 || len(tokens) < 6 {
		return example{}, false
	}
	s := spans[n%len(spans)]
	question := append(append([]string{}, tokens[max(s[0]-beside, 0):s[0]]...), "what")
	question = append(question, tokens[s[1]:min(s[1]+beside, len(tokens))]...)
	return example{Turns: []string{strings.TrimRight(strings.Join(question, " "), " .,") + " ?"}, Target: strings.Join(tokens[s[0]:s[1]], " ")}, true
}
