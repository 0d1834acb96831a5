package pairs

import (
	"io"
	"log/slog"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Examples whose picture is left out are left out of each file.
func TestOpen(t *testing.T) {
	list := records()
	of := func(split string, records []Record) Images {
		return Images{Split: split, File: split + ".tsv", Count: len(records), Of: func(i int) (string, int) { return records[i].Image, records[i].Line }}
	}
	train, dev := of("train", list), of("dev", list[1:3])
	if shared, n := Shared(train, dev); shared != 1 || n != 1 {
		t.Errorf("%d of %d are in both", shared, n)
	}
	open := func(skip bool) (keep []func(int) bool, err error) {
		o := images.Options{Within: drawn{n: 3}, SkipBad: skip, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		_, _, keep, err = Open(o, func() (regions.Extractor, error) { return nil, nil }, picture.DefaultLimits, 0, train, dev)
		return keep, err
	}
	if _, err := open(false); err == nil || err.Error()[:18] != "train.tsv: line 5:" {
		t.Errorf("an image without features: %v", err)
	}
	keep, err := open(true)
	if err != nil {
		t.Fatal(err)
	}
	if kept := Keep(list, keep[0]); len(kept) != 3 || kept[2].Line != 4 || len(Keep(list[1:3], keep[1])) != 2 {
		t.Errorf("kept are %+v", kept)
	}
	a, err := Digest(images.Options{Within: drawn{n: 3}}, train)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := Digest(images.Options{Within: drawn{n: 3}}, dev); a == b || slices.Contains([]string{a, b}, "") {
		t.Error("other images have the same digest")
	}
}
