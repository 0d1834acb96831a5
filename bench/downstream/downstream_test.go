package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/train"
)

// No picture is in two splits, and the same ones move each time.
func TestHeld(t *testing.T) {
	make := func() rows {
		r := rows{}
		for i := range 40 {
			r["train"] = append(r["train"], example{image: fmt.Sprint(i % 10), text: fmt.Sprint(i)})
		}
		r.held("train", "dev", 0.2)
		return r
	}
	r := make()
	if !reflect.DeepEqual(r, make()) {
		t.Error("another time other pictures")
	}
	if len(r["train"]) != 32 || len(r["dev"]) != 8 || len(images(append(r["train"], r["dev"]...))) != 10 || len(images(r["dev"])) != 2 {
		t.Errorf("%d of %v, %d of %v", len(r["train"]), images(r["train"]), len(r["dev"]), images(r["dev"]))
	}
}

// What is prepared is read again; examples without a picture are left out.
func TestPrepare(t *testing.T) {
	o := options{work: t.TempDir(), data: t.TempDir()}
	picture := filepath.Join(o.data, "a.png")
	if err := os.WriteFile(picture, []byte("PNG"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, s := range []set{{name: "q", task: "vqa", labels: true}, {name: "e", task: "snli-ve", labels: true}, {name: "c", task: "coco-caption"}} {
		s.rows = func(string) (rows, error) {
			r := rows{}
			for _, split := range splits {
				r[split] = []example{
					{picture: picture, image: split + ".png", text: `is it "a"?`, target: "yes, it is"},
					{picture: picture + "x", image: "missing.png", text: "is it b?", target: "no"},
				}
			}
			return r, nil
		}
		if err := o.prepare(s); err != nil {
			t.Fatal(err)
		}
		want := example{image: "test.png", text: `is it "a"?`, target: "yes, it is"}
		if !s.labels {
			want.text = ""
		}
		if got, err := o.read(s, "test"); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %+v, %v", s.name, got, err)
		}
		if _, err := os.Stat(filepath.Join(o.folder(s), "images", "test.png")); err != nil {
			t.Error(err)
		}
	}
}

func TestBaselines(t *testing.T) {
	training := []example{{text: "colour?", target: "red"}, {text: "colour?", target: "red"}, {text: "round?", target: "yes"}, {text: "large?", target: "no"}}
	test := []example{{text: "round?", target: "yes"}, {text: "colour?", target: "red"}, {text: "new?", target: "no"}, {text: "large?", target: "red"}}
	want := []float64{0.5, 0.5, 1. / 3}
	for i, b := range (set{labels: true}).baselines(training, test) {
		if b.Value != want[i] {
			t.Errorf("%s: %v, want %v", b.Name, b.Value, want[i])
		}
	}
	captions := func(image string) []example {
		return []example{{image: image, target: "a dog runs on " + image}, {image: image, target: "a cat sits on " + image}}
	}
	for _, b := range (set{}).baselines([]example{{target: "a dog runs on grass"}}, append(captions("grass"), captions("sand")...)) {
		if !(b.Value > 0) {
			t.Errorf("%s: %v", b.Name, b.Value)
		}
	}
}

// The interval is over pictures: a thousand questions about each of two say no more than one.
func TestDifference(t *testing.T) {
	of, values := []int{}, []float64{}
	for picture := range 2 {
		for range 1000 {
			of, values = append(of, picture), append(values, float64(picture))
		}
	}
	all, between := difference([][]float64{values, values}, of)
	if all != 0.5 || between != [2]float64{0, 1} {
		t.Errorf("%v, %v", all, between)
	}
}

func TestSummary(t *testing.T) {
	o, s := options{work: t.TempDir()}, set{name: "q", task: "sst-2", labels: true}
	s.rows = func(string) (rows, error) { return rows{}, nil }
	if err := o.prepare(s); err != nil {
		t.Fatal(err)
	}
	examples := []example{{image: "a", target: "x"}, {image: "b", target: "y"}}
	if err := s.write(o.folder(s), rows{"train": examples, "test": examples}); err != nil {
		t.Fatal(err)
	}
	for _, x := range []outcome{
		{Set: "q-more", Pictures: hidden, Seed: 2, Test: train.Numbers{"recall": 1}}, // not of this table
		{Set: "q", Pictures: hidden, Seed: 1, Test: train.Numbers{"accuracy": 0.5}, Values: []float64{1, 0}},
		{Set: "q", Pictures: asTheyAre, Seed: 1, Test: train.Numbers{"accuracy": 1}, Values: []float64{1, 1}, Misled: train.Numbers{"accuracy": 0}, MisledValues: []float64{0, 0}},
	} {
		dir := o.runDir(set{name: x.Set}, x.Pictures, x.Seed)
		raw, err := json.Marshal(x)
		if err == nil {
			err = os.MkdirAll(dir, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, outcomeFile), raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sum, err := o.summary(s)
	if err != nil || len(sum.Rows) != 3 {
		t.Fatalf("%+v, %v", sum, err)
	}
	for i, want := range []line{{Mean: 1}, {Mean: 0, Less: 1, Between: [2]float64{1, 1}}, {Mean: 0.5, Less: 0.5, Between: [2]float64{0, 1}}} {
		got := sum.Rows[i]
		if got.Mean != want.Mean || math.Abs(got.Less-want.Less) > 1e-9 || got.Between != want.Between {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	var out bytes.Buffer
	if err := (result{Sets: []summary{sum}}).markdown(&out); err != nil || !strings.Contains(out.String(), "| the text alone (hidden pictures) | 1 | 0.5000 | 0.5000 | 0.5000, 0.0000 to 1.0000 |") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
