package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

type Inner struct {
	Rate float64 `json:"rate" help:"of learning"`
	Size int     `json:"size"`
}

type settings struct {
	Inner
	Name string   `json:"name"`
	On   bool     `json:"on"`
	Seed uint64   `json:"seed"`
	Text []string `json:"text"`
}

func defaults() settings { return settings{Inner: Inner{Rate: 1, Size: 2}, Name: "n", Seed: 3} }

func TestSet(t *testing.T) {
	for _, c := range []struct {
		assignment string
		want       func(*settings)
		err        string
	}{
		{"rate=2e-5", func(s *settings) { s.Rate = 2e-5 }, ""},
		{"rate=3", func(s *settings) { s.Rate = 3 }, ""},
		{"size = 64", func(s *settings) { s.Size = 64 }, ""},
		{"on=true", func(s *settings) { s.On = true }, ""},
		{"name=a b", func(s *settings) { s.Name = "a b" }, ""},
		{"seed=18446744073709551615", func(s *settings) { s.Seed = 1<<64 - 1 }, ""},
		{"size=1e3", func(s *settings) { s.Size = 1000 }, ""},
		{"name=2024", func(s *settings) { s.Name = "2024" }, ""},
		{`name=C:\a: #b`, func(s *settings) { s.Name = `C:\a: #b` }, ""},
		{`name="a\tb"`, func(s *settings) { s.Name = "a\tb" }, ""},
		{`name=""`, func(s *settings) { s.Name = "" }, ""},
		{"text=a b.txt", func(s *settings) { s.Text = []string{"a b.txt"} }, ""},
		{"text=[a, 7]", func(s *settings) { s.Text = []string{"a", "7"} }, ""},
		{"on=no", func(s *settings) { s.On = false }, ""},
		{"size=x", nil, "size is x, want a whole number"},
		{"size=1.5", nil, "size is 1.5, want a whole number"},
		{"size=-", nil, "size is a list, want a whole number"},
		{"size=\"3\"", nil, `size is the text "3", want a whole number`},
		{"size=[3]", nil, "size is a list, want a whole number"},
		{"size=9999999999999999999", nil, "size is 9999999999999999999, want a whole number"},
		{"rate=fast", nil, "rate is fast, want a number"},
		{"rate=.nan", nil, "rate is .nan, want a number"},
		{"rate=-.inf", nil, "rate is -.inf, want a number"},
		{"rate=x\x1b[2J", nil, `rate is "x\x1b[2J", want a number`},
		{"seed=-1", nil, "seed is -1, want a whole number from 0 on"},
		{"on=perhaps", nil, "on is perhaps, want true or false"},
		{"on=1", nil, "on is 1, want true or false"},
		{"text=[a, {b: c}]", nil, `text is a list of keys and values, want a list of texts: ["a", "b"]`},
		{"text=[a, ~]", nil, "text is nothing (null)"},
		{"sise=1", nil, `unknown setting "sise"; did you mean size?`},
		{"zzz=1", nil, `unknown setting "zzz"; choose one of rate, size, name, on, seed, text`},
		{"size=", nil, "size= has no value; write size=VALUE, or leave it out to keep 2"},
		{"name= ", nil, `or name='""' for an empty one`},
		{"size=null", nil, "size is nothing (null), want a whole number"},
		{"on=~", nil, "on is nothing (null), want true or false"},
		{"size", nil, "key=value"},
		{"=1", nil, "key=value"},
		{"name=a\nsize: 9", nil, "line break"},
	} {
		got := defaults()
		err := Set(&got, c.assignment)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: got error %v, want %q", c.assignment, err, c.err)
			}
			continue
		}
		want := defaults()
		c.want(&want)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v, want %+v", c.assignment, got, err, want)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"rate: 0.5\nname: x\n", `{"rate": 0.5, "name": "x"}`} {
		write(text)
		got, want := defaults(), defaults()
		want.Rate, want.Name = 0.5, "x"
		if _, err := File(&got, path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	// Keys without a value leave the settings as they are.
	for _, text := range []string{"", "# nothing\n", "~\n", "rate:\nname: ~\ntext:\non: null\n", `{"rate": null}`, "\xef\xbb\xbfrate:\n"} {
		write(text)
		got, want := defaults(), defaults()
		if _, err := File(&got, path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for text, message := range map[string]string{
		"rat: 1\n":                             path + `:1: unknown setting "rat"; did you mean rate?`,
		"on: true\nsize: x\n":                  path + ":2: size is x, want a whole number",
		"rate: .nan\n":                         path + ":1: rate is .nan, want a number",
		"on: true\non: false\n":                path + ":2: on is given twice",
		"on:\non: false\n":                     path + ":2: on is given twice",
		"on: true\n---\non: false\n":           "more after",
		`{"on": true} x`:                       path,
		"rate: [1]\n":                          path + ":1: rate is a list, want a number",
		"rate:\n  size: 1\n":                   path + ":2: rate is a list of keys and values, want a number",
		"- 1\n":                                `is a list of "key: value" lines, not a list`,
		"fast\n":                               `lines, not fast`,
		"text: &a [b]\nname: *a\n":             path + ":2: name: settings have no aliases",
		"\t{":                                  path,
		strings.Repeat(" ", maxFileSize) + " ": "MiB",
	} {
		write(text)
		got, want := defaults(), defaults()
		if _, err := File(&got, path); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%.20q: got %v, want %q", text, err, message)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%.20q: changed the settings to %+v", text, got)
		}
	}
	if _, err := File(new(settings), filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a missing file was read")
	}
}

func TestList(t *testing.T) {
	s := defaults()
	list := List(&s)
	if len(list) != 6 || list[0].Key != "rate" || list[0].Help != "of learning" || list[0].Value != 1.0 || list[0].At != any(&s.Rate) || list[4].Key != "seed" {
		t.Errorf("got %v", list)
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte("rate: 1\ntext: [a]\n"))
	f.Add([]byte("name: &a [*a]\n<<: {rate: 1}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, before := defaults(), defaults()
		if _, _, err := overlay(&s, raw); err != nil && !reflect.DeepEqual(s, before) {
			t.Errorf("a wrong file changed the settings to %+v", s)
		}
	})
}

func FuzzSet(f *testing.F) {
	f.Add("rate=1")
	f.Add("name=*a")
	f.Add("name=&a [*a,*a]")
	f.Fuzz(func(t *testing.T, assignment string) {
		s := defaults()
		Set(&s, assignment)
	})
}
