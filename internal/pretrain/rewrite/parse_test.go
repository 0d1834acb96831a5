package rewrite

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func newParser(tb testing.TB) *Parser {
	tb.Helper()
	p, err := NewParser()
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// describe writes a graph as "objects / attributes / relations".
func describe(g Graph) string {
	var lists [3][]string
	for kind, p := range g.parts() {
		name := p.Lemma
		switch {
		case kind == 0:
			name += ":" + p.Form
		case p.Of >= 0:
			name += "-" + g.Objects[p.Of].Lemma
		}
		lists[kind] = append(lists[kind], name)
	}
	return strings.Join(lists[0], ", ") + " / " + strings.Join(lists[1], ", ") + " / " + strings.Join(lists[2], ", ")
}

func TestParse(t *testing.T) {
	p := newParser(t)
	for _, c := range []struct{ caption, want string }{
		{"A brown dog runs on the beach.", "dog:singular, beach:definite / brown-dog / run, on"},
		{"Two young women are holding a soccer ball in front of a building", "woman:plural, soccer ball:singular, building:singular / two-woman, young-woman / hold, in front of"},
		{"A BOY IN A RED SHIRT JUMPS OVER A FENCE", "boy:singular, shirt:singular, fence:singular / red-shirt / in, jump, over"},
		{"A group of people sitting next to some water .", "person:plural, water:definite /  / sit, next to"},
		{"black and white dogs", "dog:plural / black-dog, white-dog / "},
		{"The dog is wet .", "dog:definite / wet-dog / "},
		{"a skateboarder jumps .", "skateboarder:singular /  / jump"},
		{"Grass near a stone wall", "grass:mass, wall:singular / stone-wall / near"},
		{"A man is being pulled by a horse", "man:singular, horse:singular /  / pull"},
		{"A boy screams while a puppy eats dog toys", "boy:singular, puppy:singular, dog toy:plural /  / scream, eat"},
		{"A climber hangs from a rock face", "climber:singular, rock:singular /  / hang"},
		{"It is raining .", " /  / "},
		{"", " /  / "},
		{" .,!?-\t\n", " /  / "},
		{strings.Repeat("dog ", 2000), " /  / "},
	} {
		g := p.Parse(c.caption)
		if got := describe(g); got != c.want {
			t.Errorf("%.60q:\n %s, want\n %s", c.caption, got, c.want)
		}
		if g.Text != c.caption {
			t.Errorf("%q is the text of %q", g.Text, c.caption)
		}
	}
}

func TestRoles(t *testing.T) {
	g := newParser(t).Parse("A man and a dog sit on a bench wearing a hat with a feather .")
	var got []string
	for _, o := range g.Objects {
		got = append(got, o.Lemma+"="+o.Class)
	}
	if want := []string{"man=", "dog=", "bench=on", "hat=wear", "feather=with"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// checkGraph holds what is true of every graph.
func checkGraph(tb testing.TB, g Graph) {
	tb.Helper()
	for kind, p := range g.parts() {
		if p.Kind.index() != kind || p.Start < 0 || p.Start >= p.End || p.End > len(g.Text) || p.Lemma == "" || p.Of < -1 || p.Of >= len(g.Objects) || p.Of >= 0 && p.Kind != Attribute {
			tb.Errorf("%+v in %q", p, g.Text)
		}
	}
	if len(g.Objects) == 0 && len(g.Attributes)+len(g.Relations) > 0 {
		tb.Errorf("%q says something of nothing", g.Text)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"A dog runs .", "one's two-year-old's t-shirt", "I \u0130 don't KNOW\xff\xfe", "a a a of of the the", "👍🏽 dog\u0301 и 犬 in front of", "and , and black and ,"} {
		f.Add(s)
	}
	p := newParser(f)
	var l Lexicon
	for range 3 {
		l.Add([]Graph{p.Parse("A dog runs on the beach ."), p.Parse("Two red cats sit on a table .")})
	}
	w := Rewriter{Parser: p, Lexicon: &l}
	f.Fuzz(func(t *testing.T, caption string) {
		g := p.Parse(caption)
		checkGraph(t, g)
		for _, x := range w.NegativesOf(g, nil, 3, newRand(1)) {
			if x.Text == caption {
				t.Errorf("%q is not rewritten", caption)
			}
		}
	})
}

func TestLemmas(t *testing.T) {
	for _, c := range []struct {
		name  string
		lemma func(string) string
		words string
	}{
		{"singular", singular, "dogs=dog boxes=box ladies=lady benches=bench bushes=bush glasses=glasses grass=grass men=man women=woman children=child " +
			"people=person leaves=leaf horses=horse houses=house shoes=shoe faces=face bikes=bike bus=bus buses=bus t-shirts=t-shirt tomatoes=tomato s=s"},
		{"infinitive", infinitive, "running=run runs=run ran=run holding=hold holds=hold held=hold riding=ride rides=ride jumped=jump jumping=jump climbing=climb " +
			"climbs=climb chasing=chase chases=chase wearing=wear leaping=leap juggling=juggle dancing=dance waving=wave skiing=ski carries=carry carried=carry " +
			"sits=sit sitting=sit sat=sit pulling=pull crossing=cross swinging=swing splashes=splash racing=race smiling=smile bring=bring"},
	} {
		for pair := range strings.FieldsSeq(c.words) {
			word, want, _ := strings.Cut(pair, "=")
			if got := c.lemma(word); got != want {
				t.Errorf("%s of %s is %s, want %s", c.name, word, got, want)
			}
		}
	}
}

func ExampleParser_Parse() {
	p, err := NewParser()
	if err != nil {
		panic(err)
	}
	g := p.Parse("Two brown dogs chase a ball next to a lake .")
	for _, o := range g.Objects {
		fmt.Println(o.Lemma, o.Form)
	}
	for _, a := range g.Attributes {
		fmt.Println(a.Lemma, a.Class, g.Objects[a.Of].Lemma)
	}
	for _, r := range g.Relations {
		fmt.Println(r.Lemma, "/", r.Class)
	}
	// Output:
	// dog plural
	// ball singular
	// lake singular
	// two number dog
	// brown colour dog
	// chase / verb with object
	// next to / place
}
