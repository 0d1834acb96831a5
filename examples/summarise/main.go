// Command summarise writes a headline for each text, piece by piece.
//
//	go run ./examples/summarise "the museum shows paintings from three countries"
//	go run ./examples/summarise -model RUN "TEXT"
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/unimo-go/unimo"
)

func main() {
	model := flag.String("model", "testdata/headlines.model", "folder of a model, or of a run")
	flag.Parse()
	m, err := unimo.OpenGenerator(*model)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for _, text := range flag.Args() {
		request := unimo.Request{Texts: []string{text}}
		if _, err := m.Stream(context.Background(), request, func(piece string) { fmt.Print(piece) }); err != nil {
			log.Fatal(err)
		}
		fmt.Println()
	}
}
