package columns

import (
	"slices"
	"strings"
	"testing"
)

func TestObject(t *testing.T) {
	o, problem := ParseObject([]byte(` {"Caption": "x", "id": 7.50, "list": ["a", "b"], "none": null, "deep": {"a": [1]}, "odd": [1]}`))
	if problem != "" {
		t.Fatal(problem)
	}
	if key, err := o.Key(Caption); key != "Caption" || err != nil {
		t.Errorf("the caption is %q, %v", key, err)
	}
	if key, err := o.Key(Image); key != "" || err != nil {
		t.Errorf("the image is %q, %v", key, err)
	}
	for key, want := range map[string]string{"Caption": "x", "id": "7.50", "none": "", "absent": "", "deep": `!"deep" is an object, want a text`, "list": `!"list" is a list, want a text`} {
		got, problem := o.Text(key)
		if want, failed := strings.CutPrefix(want, "!"); got != want && !failed || problem != want && failed {
			t.Errorf("%s: %q, %q", key, got, problem)
		}
	}
	for key, want := range map[string]string{"Caption": "x", "list": "a b", "none": "", "deep": `!"deep" is an object, want a text or a list of texts`, "odd": `!"odd" is a list of something else than texts`} {
		got, problem := o.Texts(key)
		if want, failed := strings.CutPrefix(want, "!"); strings.Join(got, " ") != want && !failed || problem != want && failed {
			t.Errorf("%s: %q, %q", key, got, problem)
		}
	}
	var n int
	if problem := o.Decode("Caption", &n); problem != `"Caption": the value is a text, want a whole number` {
		t.Error(problem)
	}
	if want := []string{"Caption", "deep", "id", "list", "odd"}; !slices.Equal(o.Keys(), want) {
		t.Errorf("keys %q", o.Keys())
	}
	if want := `an object with the keys "Caption", "deep", "id", "list", "odd"`; o.String() != want {
		t.Error(o.String())
	}
}

func TestName(t *testing.T) {
	o, _ := ParseObject([]byte(`{"a": "x", "b": 7.50, "c": null, "d": []}`))
	for key, want := range map[string]string{"a": "x", "b": "7.50", "c": "", "d": `"d": the value is a list, want a text`} {
		var n Name
		if got := o.Decode(key, &n); string(n)+got != want {
			t.Errorf("%s: %q, %q", key, n, got)
		}
	}
}

func TestParseObject(t *testing.T) {
	for in, want := range map[string]string{
		"[]": "is a list, no JSON object", "7": "is a number, no JSON object", "null": "is null, no JSON object", `"a"`: "is a text, no JSON object",
		"": "the JSON ends in the middle", `{"a": `: "the JSON ends in the middle", "{a}": "is not valid JSON", "{} {}": "is not valid JSON", "{}": "",
	} {
		if _, problem := ParseObject([]byte(in)); problem != want && (want == "" || !strings.HasPrefix(problem, want)) {
			t.Errorf("%s: %q, want %q", in, problem, want)
		}
	}
}

func FuzzObject(f *testing.F) {
	for _, s := range []string{`{"image": "a", "caption": ["x"]}`, `{"a": null}`, "[]", `{"": []}`, `{"\ud800": "\ud800", "text": 1e5}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, problem := ParseObject(raw)
		if (o == nil) == (problem == "") {
			t.Fatalf("%v, %q", o, problem)
		}
		for role := range roles {
			key, err := o.Key(role)
			if _, ok := o[key]; err == nil && key != "" && !ok {
				t.Errorf("%q is no key", key)
			}
			if _, problem := o.Text(key); key == "" && problem != "" {
				t.Error(problem)
			}
			o.Texts(key)
		}
	})
}
