package data

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"in_domain_dev.tsv", "m/dev.tsv", "train.tsv/x"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "in_domain_dev.tsv")
	for _, c := range []struct {
		path  string
		names []string
		want  string
	}{
		{dir, []string{"dev.tsv", "in_domain_dev.tsv"}, file},
		{dir, []string{"dev_matched.tsv", "m/dev.tsv", "in_domain_dev.tsv"}, filepath.Join(dir, "m", "dev.tsv")},
		{file, []string{"dev.tsv"}, file},
	} {
		got, err := Resolve(c.path, "dev", c.names)
		if err != nil || got != c.want {
			t.Errorf("%s in %s: got %q, %v", c.names, c.path, got, err)
		}
	}

	_, err := Resolve(dir, "train", []string{"train.tsv", "in_domain_train.tsv"}) // train.tsv is a folder here
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	for _, word := range []string{dir, "no train file", "train.tsv, in_domain_train.tsv", "found in_domain_dev.tsv, m/, train.tsv/"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q lacks %q", err, word)
		}
	}
	if _, err := Resolve(filepath.Join(dir, "absent"), "dev", []string{"dev.tsv"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := Resolve(t.TempDir(), "dev", []string{"dev.tsv"}); err == nil || !strings.Contains(err.Error(), "found nothing") {
		t.Errorf("got %v", err)
	}
}
