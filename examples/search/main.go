// Command search finds the pictures of a folder that fit a text.
//
//	go run ./examples/search "a green square"
//	go run ./examples/search -model RUN -pictures PHOTOS "two dogs on a beach"
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo"
)

func main() {
	model := flag.String("model", "testdata/shapes.model", "folder of a model, or of a run")
	pictures := flag.String("pictures", "testdata/shapes/images", "folder of pictures")
	flag.Parse()
	if err := search(context.Background(), *model, *pictures, strings.Join(flag.Args(), " ")); err != nil {
		log.Fatal(err)
	}
}

func search(ctx context.Context, model, pictures, text string) error {
	m, err := unimo.OpenRetriever(model)
	if err != nil {
		return err
	}
	defer m.Close()
	// An index is worth keeping: it is brought up to date with its folder by the same call.
	dir, err := os.MkdirTemp("", "search")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := m.WriteIndex(ctx, pictures, filepath.Join(dir, "index")); err != nil {
		return err
	}
	index, err := m.OpenIndex(filepath.Join(dir, "index"))
	if err != nil {
		return err
	}
	defer index.Close()
	found, err := index.Search(ctx, text, 3)
	if err != nil {
		return err
	}
	for _, f := range found {
		fmt.Printf("%.2f\t%s\n", f.Match, filepath.Base(f.Path))
	}
	return nil
}
