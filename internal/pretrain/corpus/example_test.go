package corpus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/pretrain/corpus"
)

func Example() {
	dir, err := os.MkdirTemp("", "corpus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, content := range map[string]string{
		"a.txt":   "A dog runs.\n\nA cat sleeps.\n",
		"b.jsonl": `{"text": "It rains."}` + "\n" + `{"text": ""}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	texts, err := corpus.Open(corpus.Text, []string{dir}, corpus.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer texts.Close()
	for s, err := range texts.Each(context.Background(), corpus.All) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.Key, s.Text)
	}

	// A stream that is restored goes on with the same samples.
	stream := texts.Stream(corpus.StreamOptions{Seed: 1, Buffer: 4})
	if _, err := stream.Next(); err != nil {
		log.Fatal(err)
	}
	report := stream.Report()
	fmt.Println(report.Samples, "texts;", report.Skipped)
	state, err := json.Marshal(stream.State())
	if err != nil {
		log.Fatal(err)
	}
	var saved corpus.State
	if err := json.Unmarshal(state, &saved); err != nil {
		log.Fatal(err)
	}
	other := texts.Stream(corpus.StreamOptions{Seed: 1, Buffer: 4})
	if err := other.Restore(saved); err != nil {
		log.Fatal(err)
	}
	a, err := stream.Next()
	if err != nil {
		log.Fatal(err)
	}
	b, err := other.Next()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(a.Key == b.Key)
	// Output:
	// a.txt:1 A dog runs.
	// a.txt:3 A cat sleeps.
	// b.jsonl:1 It rains.
	// 3 texts; map[empty text:1]
	// true
}
