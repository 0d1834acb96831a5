package textfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"in_domain_dev.tsv", "m/dev.tsv", "train.tsv/x", "validation.csv", "validation.jsonl"} {
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
		{dir, []string{"dev", "in_domain_dev", "validation"}, file},
		{dir, []string{"dev_matched", "m/dev", "in_domain_dev"}, filepath.Join(dir, "m", "dev.tsv")},
		{dir, []string{"dev", "validation"}, filepath.Join(dir, "validation.csv")},
		{dir, []string{"validation.jsonl"}, filepath.Join(dir, "validation.jsonl")},
		{file, []string{"dev"}, file},
	} {
		got, err := Resolve(c.path, "dev", c.names)
		if err != nil || got != c.want {
			t.Errorf("%s in %s: got %q, %v", c.names, c.path, got, err)
		}
	}

	_, err := Resolve(dir, "train", []string{"train", "in_domain_train"}) // train.tsv is a folder here
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	for _, word := range []string{dir, "no train file", "train, in_domain_train", ".jsonl", "found in_domain_dev.tsv, m/, train.tsv/"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q lacks %q", err, word)
		}
	}
	if _, err := Resolve(filepath.Join(dir, "absent"), "dev", []string{"dev"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := Resolve(t.TempDir(), "dev", []string{"dev"}); err == nil || !strings.Contains(err.Error(), "found nothing") {
		t.Errorf("got %v", err)
	}
	parquet := t.TempDir()
	if err := os.WriteFile(filepath.Join(parquet, "dev-00000-of-00001.parquet"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(parquet, "dev", []string{"dev"}); err == nil || !strings.Contains(err.Error(), "to_json('dev.jsonl'") {
		t.Errorf("got %v", err)
	}
}
