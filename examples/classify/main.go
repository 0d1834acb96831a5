// Command classify labels the texts that it is given.
//
//	go run ./examples/classify "a gripping and funny film" "two hours i will never get back"
//	go run ./examples/classify -model RUN "TEXT"
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/unimo-go/unimo"
)

func main() {
	model := flag.String("model", "testdata/films.model", "folder of a model, or of a run")
	flag.Parse()
	m, err := unimo.Open(*model)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	var inputs []unimo.Input
	for _, text := range flag.Args() {
		inputs = append(inputs, unimo.Input{Text: text})
	}
	answers, err := m.Predict(context.Background(), inputs...)
	if err != nil {
		log.Fatal(err)
	}
	for i, a := range answers {
		fmt.Printf("%s\t%.2f\t%s\n", a.Label, a.Probability, inputs[i].Text)
	}
}
