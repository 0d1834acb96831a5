package synth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// reading is what a reader of stories knows, who shares only the lexicon with the
// grammar and nothing with the simulation.
type reading struct {
	t     *testing.T
	story string

	where, has, giver, lies map[string]string // room and thing of people, giver and room of things
	said                    map[string]string // the words for where a person is or a thing was left
	triples                 []string
	latest                  map[bool][]string // by gender: the people of the latest sentence or turn that names any
	thing                   string            // named latest
	before                  string            // "where is", "who has" or "what does": the question before
}

func gender(name string) (female, ok bool) {
	i := slices.IndexFunc(characters, func(c character) bool { return c.name == name })
	return i >= 0 && characters[i].female, i >= 0
}

// person resolves a name or a pronoun, which must have exactly one antecedent.
func (r *reading) person(word string) string {
	female, pronoun := map[string]bool{"he": false, "him": false, "she": true, "her": true}[strings.ToLower(word)]
	if !pronoun {
		if _, ok := gender(word); !ok {
			r.t.Errorf("%q: nobody is called %q", r.story, word)
		}
		return word
	}
	if len(r.latest[female]) != 1 {
		r.t.Errorf("%q: %q may be any of %v", r.story, word, r.latest[female])
		return ""
	}
	return r.latest[female][0]
}

// heard notes the people that a sentence or a turn is about.
func (r *reading) heard(people ...string) {
	now := map[bool][]string{}
	for _, p := range people {
		if female, ok := gender(p); ok && !slices.Contains(now[female], p) {
			now[female] = append(now[female], p)
		}
	}
	for female, p := range now {
		r.latest[female] = p
	}
}

func readStory(t *testing.T, text string) *reading {
	t.Helper()
	r := &reading{
		t: t, story: text, where: map[string]string{}, has: map[string]string{}, giver: map[string]string{}, lies: map[string]string{},
		said: map[string]string{}, latest: map[bool][]string{},
	}
	for sentence := range strings.SplitSeq(strings.TrimSuffix(text, "."), ". ") {
		w := strings.Fields(sentence)
		object := w[len(w)-1]
		if w[0] == "The" { // "The ball stayed in the hall"
			for who, thing := range r.has {
				if thing == w[1] {
					delete(r.has, who)
					if r.where[who] != object {
						t.Errorf("%q: %s left the %s elsewhere", text, who, thing)
					}
				}
			}
			r.lies[w[1]], r.said[w[1]] = object, "the "+strings.Join(w[1:], " ")
			delete(r.giver, w[1])
			continue
		}
		who := r.person(w[0])
		others := []string{who}
		switch {
		case slices.Contains(rooms, object):
			r.where[who], r.said[who] = object, who+" "+strings.Join(w[1:], " ")
		case slices.Contains(givings, w[1]):
			to := r.person(w[2])
			if r.has[who] != object || r.where[to] != r.where[who] || r.has[to] != "" {
				t.Errorf("%q: %s cannot give the %s to %s", text, who, object, to)
			}
			delete(r.has, who)
			r.has[to], r.giver[object] = object, who
			others = append(others, to)
		case slices.Contains(takings, w[1]+" "+w[2]):
			if room, ok := r.lies[object]; ok && room != r.where[who] || r.has[who] != "" || r.holder(object) != "nobody" {
				t.Errorf("%q: %s cannot take the %s", text, who, object)
			}
			delete(r.lies, object)
			r.has[who] = object
		default:
			t.Fatalf("%q: the sentence %q says nothing known", text, sentence)
		}
		r.heard(others...)
		for who, thing := range r.has {
			r.triples = append(r.triples, who+" "+thing+" "+r.where[who])
		}
	}
	r.latest = map[bool][]string{} // pronouns of questions refer to the conversation
	return r
}

// holder returns who has a thing.
func (r *reading) holder(thing string) string {
	for who, has := range r.has {
		if has == thing {
			return who
		}
	}
	return "nobody"
}

// answer answers a question by the text and the turns before.
func (r *reading) answer(text string) string {
	w := strings.Fields(strings.TrimSuffix(text, "?"))
	object := func(words ...string) string {
		if words[0] == "it" {
			if r.thing == "" {
				r.t.Errorf("%q: %q: nothing was named", r.story, text)
			}
			return r.thing
		}
		r.thing = words[1]
		return words[1]
	}
	where := func(words ...string) string {
		if words[0] == "it" || words[0] == "the" {
			thing := object(words...)
			who := r.holder(thing)
			r.heard(who)
			if who == "nobody" {
				return r.said[thing]
			}
			female, _ := gender(who)
			return r.said[who] + map[bool]string{false: ", he has it", true: ", she has it"}[female]
		}
		who := r.person(words[0])
		r.heard(who)
		return r.said[who]
	}
	everybody := func() string {
		var all []string
		for _, c := range characters {
			if where, ok := r.said[c.name]; ok {
				all = append(all, where)
			}
		}
		return strings.Join(all, ", ")
	}
	what := func(word string) string {
		who := r.person(word)
		r.heard(who)
		if r.has[who] == "" {
			return "nothing"
		}
		r.thing = r.has[who]
		return "the " + r.has[who]
	}
	who := func(words ...string) string {
		holder := r.holder(object(words...))
		r.heard(holder)
		return holder
	}
	if text == "Where is everybody?" {
		r.before = ""
		return everybody()
	}
	key := strings.Join(w[:min(2, len(w))], " ")
	if w[0] == "And" {
		if key = r.before; key == "" {
			r.t.Errorf("%q: %q follows no question of its kind", r.story, text)
		}
		w = slices.Concat([]string{"", ""}, w[1:])
	}
	r.before = ""
	if key == "Where is" || key == "Who has" || key == "What does" {
		r.before = key
	}
	switch key {
	case "Where is":
		return where(w[2:]...)
	case "Who has":
		return who(w[2:]...)
	case "What does":
		return what(w[2])
	case "Who gave":
		thing, to := object(w[2:]...), r.person(w[len(w)-1])
		if r.has[to] != thing {
			r.t.Errorf("%q: %q, but %s does not have it", r.story, text, to)
		}
		r.heard(to, r.giver[thing])
		return r.giver[thing]
	}
	r.t.Fatalf("%q: nobody asks %q", r.story, text)
	return ""
}

func checkAnswers(t *testing.T, s Story) {
	t.Helper()
	r := readStory(t, s.Text)
	for _, turn := range s.Turns {
		if got := r.answer(turn.Question); got != turn.Answer {
			t.Errorf("%s: %q: the text answers %q with %q, not %q", s.ID, s.Text, turn.Question, got, turn.Answer)
		}
	}
}

func TestStoriesAnswerTheirQuestions(t *testing.T) {
	train, heldOut := Stories(5, 4000, 1000)
	kinds := map[string]int{}
	for _, s := range slices.Concat(train, heldOut) {
		checkAnswers(t, s)
		for _, turn := range s.Turns {
			kinds[kind(turn.Question)]++
		}
	}
	t.Log(kinds)
	for _, s := range ExampleStories() {
		checkAnswers(t, s)
		for _, turn := range s.Turns {
			if kinds[kind(turn.Question)] == 0 {
				t.Errorf("%s: nobody but the example asks %q", s.ID, turn.Question)
			}
		}
	}
}

// kind is a question without what it names.
func kind(question string) string {
	var out []string
	for _, w := range strings.Fields(strings.TrimSuffix(question, "?")) {
		if _, ok := gender(w); ok {
			w = "NAME"
		} else if slices.Contains(things, w) {
			w = "THING"
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// No triple that a held-out rule names may hold in a training story, every held-out
// story and every example has one, and no text comes twice.
func TestHeldOutStoriesAreUnseen(t *testing.T) {
	train, heldOut := Stories(3, 4000, 1000)
	if len(train) != 4000 || len(heldOut) != 1000 {
		t.Fatalf("%d and %d stories", len(train), len(heldOut))
	}
	texts, triples, words := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range train {
		if texts[s.Text] {
			t.Errorf("%q comes twice", s.Text)
		}
		texts[s.Text] = true
		for _, triple := range readStory(t, s.Text).triples {
			triples[triple] = true
		}
		for _, w := range strings.Fields(s.Text) {
			words[w] = true
		}
	}
	for _, s := range slices.Concat(heldOut, ExampleStories()) {
		if texts[s.Text] {
			t.Errorf("%q comes twice", s.Text)
		}
		texts[s.Text] = true
		if !slices.ContainsFunc(readStory(t, s.Text).triples, func(triple string) bool { return !triples[triple] }) {
			t.Errorf("%q: training shows all its triples", s.Text)
		}
		for _, w := range strings.Fields(s.Text) {
			if !words[w] {
				t.Errorf("%q: %q does not occur in training", s.Text, w)
			}
		}
	}
}

func TestHeldOutTriplesAreSomeOfEverything(t *testing.T) {
	out, all := map[string]int{}, map[string]int{}
	for who, c := range characters {
		for thing := range things {
			for room := range rooms {
				for _, part := range []string{c.name, things[thing], rooms[room]} {
					all[part]++
					if heldOutTriple([3]int{who, thing, room}) {
						out[part]++
					}
				}
			}
		}
	}
	for part, n := range all {
		if out[part] == 0 || 4*out[part] > n {
			t.Errorf("%s: %d of %d triples are held out, want some and at most a quarter", part, out[part], n)
		}
	}
}

func TestStoriesAreShortAndConversationsDepend(t *testing.T) {
	train, _ := Stories(1, 4000, 0)
	turns, dependent := 0, 0
	known := map[string]bool{}
	for _, s := range train {
		checkSize(t, s)
		later, short := dependentTurns(t, s)
		turns, dependent = turns+later, dependent+short
		for _, w := range wordsOf(s) {
			known[w] = true
		}
	}
	t.Logf("%d words; %.2f of the later questions depend on earlier ones", len(known), float64(dependent)/float64(turns))
	if 10*dependent < 6*turns {
		t.Errorf("%d of %d later questions depend on earlier ones, want 0.6 of them", dependent, turns)
	}

	for _, s := range ExampleStories() {
		checkSize(t, s)
		if _, short := dependentTurns(t, s); short < 3 {
			t.Errorf("example %q: %d questions depend on earlier ones, want 3", s.Text, short)
		}
		for _, w := range wordsOf(s) {
			if !known[w] {
				t.Errorf("example %q: %q does not occur in training", s.Text, w)
			}
		}
	}
}

// wordsOf splits a story, its questions and its answers as a tokenizer does.
func wordsOf(s Story) []string {
	all := []string{s.Text}
	for _, turn := range s.Turns {
		all = append(all, turn.Question, turn.Answer)
	}
	return strings.Fields(strings.NewReplacer(".", " .", "?", " ?", ",", " ,").Replace(strings.Join(all, " ")))
}

func checkSize(t *testing.T, s Story) {
	t.Helper()
	if n := strings.Count(s.Text, "."); n < minSentences || n > maxSentences {
		t.Errorf("%q has %d sentences", s.Text, n)
	}
	if n := len(wordsOf(Story{Text: s.Text})); n > 7*maxSentences {
		t.Errorf("%q has %d tokens", s.Text, n)
	}
	if people := len(slices.Compact(slices.Sorted(slices.Values(mentioned(s.Text, names()))))); people < 2 || people > maxCast {
		t.Errorf("%q is about %d people", s.Text, people)
	}
	if len(s.Turns) < minTurns || len(s.Turns) > maxTurns {
		t.Errorf("%q: %d questions", s.Text, len(s.Turns))
	}
}

// dependentTurns counts the turns after the first, and those that need the turns
// before, which the first must not.
func dependentTurns(t *testing.T, s Story) (later, dependent int) {
	t.Helper()
	for i, turn := range s.Turns {
		short := strings.HasPrefix(turn.Question, "And ")
		for _, w := range strings.Fields(strings.TrimSuffix(turn.Question, "?")) {
			short = short || slices.Contains([]string{"he", "she", "him", "her", "it"}, w)
		}
		switch {
		case i == 0 && short:
			t.Errorf("%q: the first question %q depends on others", s.Text, turn.Question)
		case short:
			dependent++
		}
	}
	return len(s.Turns) - 1, dependent
}

func TestStoriesDependOnTheSeedAlone(t *testing.T) {
	a, b := Stories(7, 300, 50)
	c, d := Stories(7, 300, 50)
	if !reflect.DeepEqual(a, c) || !reflect.DeepEqual(b, d) {
		t.Error("the same seed gave other stories")
	}
	if longer, _ := Stories(7, 400, 5); !reflect.DeepEqual(a, longer[:300]) {
		t.Error("asking for more stories changed the first ones")
	}
	if other, _ := Stories(8, 300, 0); reflect.DeepEqual(a, other) {
		t.Error("another seed gave the same stories")
	}
}

// What answers without the story must fail.
func TestStoryBaselines(t *testing.T) {
	train, heldOut := Stories(1, 8000, 1000)
	baselines := StoryBaselines(train, heldOut)
	for _, b := range baselines {
		t.Logf("%s: %.3f", b.Name, b.ExactMatch)
		if b.ExactMatch > 0.55 || b.ExactMatch <= 0 {
			t.Errorf("%s: %.3f, want between 0 and 0.55", b.Name, b.ExactMatch)
		}
	}
	if got := StoryBaselines(nil, nil); len(got) != len(baselines) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestWriteStories(t *testing.T) {
	stories := ExampleStories()
	var b bytes.Buffer
	if err := WriteStories(&b, stories); err != nil {
		t.Fatal(err)
	}
	var file struct {
		Data []struct {
			Source, ID, Story string
			Questions         []map[string]any
			Answers           []map[string]any
		}
	}
	if err := json.Unmarshal(b.Bytes(), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Data) != len(stories) {
		t.Fatalf("%d stories, want %d", len(file.Data), len(stories))
	}
	for i, x := range file.Data {
		s := stories[i]
		if x.Source != "synthetic" || x.ID != s.ID || x.Story != s.Text || len(x.Questions) != len(s.Turns) || len(x.Answers) != len(s.Turns) {
			t.Errorf("%s: %+v", s.ID, x)
			continue
		}
		for j, turn := range s.Turns {
			got := fmt.Sprint(x.Questions[j]["input_text"], x.Questions[j]["turn_id"], x.Answers[j]["input_text"], x.Answers[j]["turn_id"])
			if want := fmt.Sprint(turn.Question, float64(j+1), turn.Answer, float64(j+1)); got != want {
				t.Errorf("%s: %s, want %s", s.ID, got, want)
			}
		}
	}
}

func TestReferents(t *testing.T) {
	mary, john, anna := 0, 1, 2
	r := referents{none, none, none}
	for _, c := range []struct {
		people []int
		thing  int
		want   referents
	}{
		{[]int{mary, none}, none, referents{he: none, she: mary, it: none}},
		{[]int{john}, 3, referents{he: john, she: mary, it: 3}},
		{[]int{mary, anna}, none, referents{he: john, she: none, it: 3}}, // two women
		{[]int{anna, anna}, 4, referents{he: john, she: anna, it: 4}},
		{nil, none, referents{he: john, she: anna, it: 4}},
	} {
		if r.named(c.people, c.thing); r != c.want {
			t.Errorf("after %v and %d: %+v, want %+v", c.people, c.thing, r, c.want)
		}
	}
}
