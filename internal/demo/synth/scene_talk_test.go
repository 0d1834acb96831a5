package synth

import (
	"encoding/csv"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// thing is what a text names: "" is not named.
type thing struct{ size, colour, shape, place string }

var thingPattern = regexp.MustCompile(`^(?:an?|the)(?: (big|large|small|little))?(?: (red|orange|yellow|green|blue|purple|black))? (object|\w+)(?: at the (\w+ \w+))?$`)

func readThing(t *testing.T, text string) thing {
	t.Helper()
	m := thingPattern.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no reader understands %q", text)
	}
	size := map[string]string{"": "", "big": "big", "large": "big", "small": "small", "little": "small"}[m[1]]
	return thing{size, m[2], strings.TrimSuffix(m[3], "object"), m[4]}
}

// fit lists the things seen that a named one may be.
func (n thing) fit(seen []thing) (out []thing) {
	agrees := func(named, is string) bool { return named == "" || named == is }
	for _, v := range seen {
		if agrees(n.size, v.size) && agrees(n.colour, v.colour) && agrees(n.shape, v.shape) && agrees(n.place, v.place) {
			out = append(out, v)
		}
	}
	return out
}

// view is what an eye sees of a scene with a curtain, from its pixels.
func view(t *testing.T, img *image.RGBA) (seen []thing, curtain string) {
	t.Helper()
	for _, v := range lookAt(t, img) {
		seen = append(seen, thing{v.size, v.colour, v.shape, v.place(img.Rect.Dx())})
	}
	return seen, curtainAt(img)
}

// answers are how a reader answers each type of question, from its words and what is seen.
var answers = map[string]struct {
	pattern *regexp.Regexp
	answer  func(t *testing.T, m []string, seen []thing, curtain string) string
}{
	"colour": {regexp.MustCompile(`^what colour is (the .*)\?$`), func(t *testing.T, m []string, seen []thing, _ string) string { return only(t, m[1], seen).colour }},
	"shape":  {regexp.MustCompile(`^what shape is (the .*)\?$`), func(t *testing.T, m []string, seen []thing, _ string) string { return only(t, m[1], seen).shape }},
	"size":   {regexp.MustCompile(`^is (the .*) big or small\?$`), func(t *testing.T, m []string, seen []thing, _ string) string { return only(t, m[1], seen).size }},
	"place":  {regexp.MustCompile(`^where is (the .*)\?$`), func(t *testing.T, m []string, seen []thing, _ string) string { return only(t, m[1], seen).place }},
	"thing": {regexp.MustCompile(`^what is at the (\w+ \w+)\?$`), func(t *testing.T, m []string, seen []thing, curtain string) string {
		if m[1] == curtain {
			return "curtain"
		}
		for _, v := range seen {
			if v.place == m[1] {
				return v.shape
			}
		}
		return "nothing"
	}},
	"number": {regexp.MustCompile(`^how many (.*) do you see\?$`), func(t *testing.T, m []string, seen []thing, _ string) string {
		one := strings.TrimSuffix(strings.Replace(m[1], "crosses", "cross ", 1), "s")
		return fmt.Sprint(len(readThing(t, "a "+strings.TrimSpace(one)).fit(seen)))
	}},
	"existence": {regexp.MustCompile(`^do you see (an? .*)\?$`), func(t *testing.T, m []string, seen []thing, _ string) string {
		return yesNo(len(readThing(t, m[1]).fit(seen)) > 0)
	}},
}

func yesNo(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

// only is the one thing that fits the words.
func only(t *testing.T, words string, seen []thing) thing {
	t.Helper()
	fit := readThing(t, words).fit(seen)
	if len(fit) != 1 {
		t.Fatalf("%q is %d of %v", words, len(fit), seen)
	}
	return fit[0]
}

// Every question has the answer that a reader of its words finds in the picture, as an eye sees it.
func TestAnswersAreRight(t *testing.T) {
	const size = 256
	train, heldOut := CurtainScenes(1, 1000, 100)
	for _, scene := range slices.Concat(train[:100], heldOut) {
		seen, curtain := view(t, scene.Draw(size))
		if len(scene.Questions) != len(answers) {
			t.Fatalf("%d questions", len(scene.Questions))
		}
		for i, q := range scene.Questions {
			reader := answers[q.Type]
			m := reader.pattern.FindStringSubmatch(q.Text)
			if m == nil || q.Type != QuestionTypes()[i] {
				t.Fatalf("no reader of questions %s understands %q", q.Type, q.Text)
			}
			if got := reader.answer(t, m, seen, curtain); got != q.Answer {
				t.Errorf("%q is answered %q, but the picture shows %v and a curtain at the %s: %s", q.Text, q.Answer, seen, curtain, got)
			}
		}
	}
}

var (
	seenPattern   = regexp.MustCompile(`^you see (an? .*)$`)
	placePattern  = regexp.MustCompile(`^at the (\w+ \w+) is (an? .*)$`)
	hiddenPattern = regexp.MustCompile(`^behind the curtain is (an? .*)$`)
)

// holdsIn says whether a hypothesis is true of a picture that shows these things, and has hidden ones behind its curtain.
func holdsIn(t *testing.T, text string, seen, hidden []thing) bool {
	t.Helper()
	if m := seenPattern.FindStringSubmatch(text); m != nil {
		return len(readThing(t, m[1]).fit(seen)) > 0
	}
	if m := hiddenPattern.FindStringSubmatch(text); m != nil {
		return len(readThing(t, m[1]).fit(hidden)) > 0
	}
	m := placePattern.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no reader understands %q", text)
	}
	is := readThing(t, m[2])
	is.place = m[1]
	return len(is.fit(slices.Concat(hidden, seen))) > 0
}

// A hypothesis is entailed if it is true whatever the curtain hides, contradicted if it is false whatever
// it hides, and neutral if that depends.
func TestLabelsAreRight(t *testing.T) {
	const size = 256
	var hides []thing
	for _, s := range []string{"big", "small"} {
		for _, h := range hues {
			for _, f := range figures {
				hides = append(hides, thing{s, h.name, f.name, ""})
			}
		}
	}
	train, heldOut := CurtainScenes(1, 1000, 100)
	for _, scene := range slices.Concat(train[:50], heldOut) {
		seen, curtain := view(t, scene.Draw(size))
		var labels []string
		for _, h := range scene.Hypotheses {
			possible := map[bool]bool{holdsIn(t, h.Text, seen, nil): true}
			for _, hidden := range hides {
				hidden.place = curtain
				possible[holdsIn(t, h.Text, seen, []thing{hidden})] = true
			}
			want := "neutral"
			if len(possible) == 1 {
				want = map[bool]string{true: "entailment", false: "contradiction"}[possible[true]]
			}
			if h.Label != want {
				t.Errorf("%q is %s, but the picture shows %v and a curtain at the %s: %s", h.Text, h.Label, seen, curtain, want)
			}
			labels = append(labels, h.Label)
		}
		if slices.Sort(labels); !slices.Equal(labels, HypothesisLabels()) {
			t.Errorf("the labels are %v", labels)
		}
	}
}

var shortPatterns = []*regexp.Regexp{
	regexp.MustCompile(`^a (big|small) (\w+) (\w+) (left|right|above|below)(?: of)? a (big|small) (\w+) (\w+)$`),
	regexp.MustCompile(`^a (big|small) (\w+) (\w+) (\w+ \w+) and a (big|small) (\w+) (\w+) (\w+ \w+)$`),
}

// tryShort understands a caption of a scene with a curtain from its words alone.
func tryShort(text string) (s said, ok bool) {
	if m := shortPatterns[0].FindStringSubmatch(text); m != nil && strings.Contains(text, " of a ") == (m[4] == "left" || m[4] == "right") {
		return said{objects: [2]sight{{size: m[1], colour: m[2], shape: m[3]}, {size: m[5], colour: m[6], shape: m[7]}}, relation: m[4]}, true
	}
	if m := shortPatterns[1].FindStringSubmatch(text); m != nil {
		return said{objects: [2]sight{{size: m[1], colour: m[2], shape: m[3]}, {size: m[5], colour: m[6], shape: m[7]}}, places: [2]string{m[4], m[8]}}, true
	}
	return said{}, false
}

// A caption with a word changed is true or false as a reader finds; what no reader understands is not understood.
func TestJudge(t *testing.T) {
	const size = 256
	_, heldOut := CurtainScenes(1, 1000, 40)
	words := map[string]bool{}
	for _, scene := range heldOut {
		for _, caption := range scene.Captions {
			for _, w := range strings.Fields(caption) {
				words[w] = true
			}
		}
	}
	verdicts := map[bool]int{}
	for i, scene := range heldOut {
		seen := lookAt(t, scene.Draw(size))
		for _, caption := range scene.Captions {
			if holds, understood := scene.Judge(" " + strings.ToUpper(caption) + "\n"); !holds || !understood {
				t.Errorf("%q is %t and understood %t of its own scene", caption, holds, understood)
			}
			if holds, understood := heldOut[(i+1)%len(heldOut)].Judge(caption); holds || !understood {
				t.Errorf("%q is %t and understood %t of another scene", caption, holds, understood)
			}
			said := strings.Fields(caption)
			for j := range said {
				for w := range words {
					changed := slices.Clone(said)
					changed[j] = w
					text := strings.Join(changed, " ")
					holds, _ := scene.Judge(text)
					s, ok := tryShort(text)
					if want := ok && s.trueOf(seen, size); holds != want {
						t.Errorf("%q is %t of a picture that shows %v", text, holds, seen)
					}
					verdicts[holds]++
				}
			}
		}
	}
	if verdicts[true] < 500 || verdicts[false] < 1000 {
		t.Errorf("verdicts %v: the comparison says little", verdicts)
	}
	for _, text := range []string{
		"", "a", "a big red circle", "a big red circle left", "a big red circle left of", "a big red circle left of a big red",
		"a big red circle left of a small blue star .", "an orange circle left of a small blue star", "a big red circle left top and a small blue star top right",
		"a big red circle is left of a small blue star", "a huge red circle above a small blue star", "a big red circle top left",
	} {
		if holds, understood := heldOut[0].Judge(text); holds || understood {
			t.Errorf("%q is %t, understood %t", text, holds, understood)
		}
	}
	o := heldOut[0].layout.objects[0]
	twice := fmt.Sprintf("a small %[2]s %[3]s %[1]s and a small %[2]s %[3]s %[1]s", o.place(), hues[o.hue].name, figures[o.figure].name)
	if o.big {
		twice = strings.ReplaceAll(twice, "small", "big")
	}
	if holds, understood := heldOut[0].Judge(twice); holds || !understood {
		t.Errorf("%q, one object named twice, is %t, understood %t", twice, holds, understood)
	}
}

// kindPattern finds coloured shapes in a text.
var kindPattern = regexp.MustCompile(`(?:red|orange|yellow|green|blue|purple|black) (?:circle|ring|square|cross|triangle|star)`)

// No caption of training names a pair that one of a held-out scene names.
func TestShortCaptionsHoldOutPairs(t *testing.T) {
	train, heldOut := CurtainScenes(1, 3000, 200)
	pairs := func(scenes []Scene) map[string]bool {
		out := map[string]bool{}
		for _, scene := range scenes {
			for _, text := range scene.Captions {
				if named := kindPattern.FindAllString(text, -1); len(named) == 2 {
					slices.Sort(named)
					out[strings.Join(named, ", ")] = true
				}
			}
		}
		return out
	}
	known, unseen := pairs(train), pairs(heldOut)
	for pair := range unseen {
		if known[pair] {
			t.Errorf("a caption of training names %s, and one of a held-out scene does", pair)
		}
	}
	if len(known) < 400 || len(unseen) < 200 {
		t.Errorf("%d and %d pairs: the comparison says little", len(known), len(unseen))
	}
}

// Neither the text alone nor the picture alone gives answers and labels away.
func TestTalkBaselines(t *testing.T) {
	train, heldOut := CurtainScenes(1, 3000, 200)
	for name, c := range map[string]struct {
		baselines []AnswerBaseline
		most      float64
		all       int
	}{
		"questions":  {QuestionBaselines(train, heldOut), 0.36, 4},
		"hypotheses": {HypothesisBaselines(train, heldOut), 0.5, 2},
		"captions":   {CaptionBaselines(heldOut), 0.26, 3},
	} {
		for _, b := range c.baselines {
			t.Logf("%s: %.4f %s", name, b.Accuracy, b.Name)
			if b.Accuracy <= 0 || b.Accuracy > c.most {
				t.Errorf("%s: %s reaches %.3f, want some and %.2f at most", name, b.Name, b.Accuracy, c.most)
			}
		}
		if len(c.baselines) != c.all {
			t.Errorf("%s: %d baselines", name, len(c.baselines))
		}
	}
	// What learns from texts does learn, where the text gives the answer away.
	given := []asked{{"", "what sound does a cat make", "miaow"}, {"", "what sound does a dog make", "wuff"}}
	if got := accuracy(given, textOnly(given)); got != 1 {
		t.Errorf("of texts that say all, the text alone gives %g", got)
	}
	QuestionBaselines(nil, nil) // of nothing: no panic
	CaptionBaselines(nil)
}

func TestWriteTalk(t *testing.T) {
	train, heldOut := CurtainScenes(1, 1000, 2)
	dir := t.TempDir()
	if err := WriteScenes(dir, train[:3], train[3:5], heldOut); err != nil {
		t.Fatal(err)
	}
	for name, rows := range map[string]int{"captions.csv": 21, "questions/test.csv": 2 * len(QuestionTypes()), "hypotheses/test.csv": 6} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := csv.NewReader(f).ReadAll()
		if err != nil || len(got) != rows+1 {
			t.Fatalf("%s has %d rows: %v, want %d", name, len(got), err, rows+1)
		}
		last := got[len(got)-1]
		scene := heldOut[1]
		want := map[string][]string{
			"captions.csv": {"test-00002.png", scene.Captions[2]}, "hypotheses/test.csv": {"test-00002.png", scene.Hypotheses[2].Text, scene.Hypotheses[2].Label},
			"questions/test.csv": {"test-00002.png", scene.Questions[6].Text, scene.Questions[6].Answer, scene.Questions[6].Type},
		}[name]
		if !slices.Equal(last, want) {
			t.Errorf("%s ends with %q, want %q", name, last, want)
		}
	}
}
