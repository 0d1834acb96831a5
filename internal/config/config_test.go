package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type Inner struct {
	Rate float64 `json:"rate" help:"of learning"`
	Size int     `json:"size"`
}

type settings struct {
	Inner
	Name string `json:"name"`
	On   bool   `json:"on"`
	Seed uint64 `json:"seed"`
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
		{"size=x", nil, `size: "x"`},
		{"size=1.5", nil, `size: "1.5"`},
		{"size=-", nil, "size"},
		{"seed=-1", nil, "seed"},
		{"on=perhaps", nil, "on"},
		{"sise=1", nil, `unknown key "sise": the keys are rate, size, name, on, seed`},
		{"size=", nil, "no value"},
		{"size= ", nil, "no value"},
		{"size=null", nil, "size"},
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
		if err != nil || got != want {
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
		if err := File(&got, path); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for text, message := range map[string]string{
		"rat: 1\n":                             `unknown key "rat"`,
		"rate:\n":                              "rate: no value",
		"size: x\n":                            "size: a string where a value of type int",
		"on: 1\non: 2\n":                       `"on" already defined`,
		"on: true\n---\non: false\n":           "more after",
		`{"on": true} x`:                       path,
		"rate: [1]\n":                          path,
		"- 1\n":                                path,
		"rate: 1\nrate: 2\n":                   path,
		"\t{":                                  path,
		strings.Repeat(" ", maxFileSize) + " ": "KiB",
	} {
		write(text)
		got := defaults()
		if err := File(&got, path); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%.20q: got %v, want %q", text, err, message)
		}
	}
	if err := File(new(settings), filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a missing file was read")
	}
}

func TestList(t *testing.T) {
	s := defaults()
	list := List(&s)
	if len(list) != 5 || list[0] != (Setting{"rate", "of learning", 1.0}) || list[4].Key != "seed" {
		t.Errorf("got %v", list)
	}
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
