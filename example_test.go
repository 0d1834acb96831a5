package unimo_test

import (
	"context"
	"fmt"
	"log"

	"github.com/unimo-go/unimo"
)

// Classify two sentences with a model made by
// "unimo finetune sst-2 --data DIR --out RUN".
func ExampleModel_Predict() {
	m, err := unimo.Open("RUN")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	answers, err := m.Predict(context.Background(),
		unimo.Input{Text: "a gripping and funny film"},
		unimo.Input{Text: "two hours i will never get back"})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range answers {
		fmt.Printf("%s %.2f\n", a.Label, a.Probability)
	}
}

// Ask about a passage with a model made by "unimo finetune coqa --data DIR --out RUN".
func ExampleGenerator_Stream() {
	m, err := unimo.OpenGenerator("RUN")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	question := unimo.Request{
		Passage: "Mary took the ball. She went to the kitchen.",
		Texts:   []string{"Who has the ball?", "Mary", "Where is she?"},
	}
	_, err = m.Stream(context.Background(), unimo.Decoding{}, question, func(piece string) { fmt.Print(piece) })
	if err != nil {
		log.Fatal(err)
	}
}

// Search a folder of photographs with a model made by
// "unimo finetune flickr8k --data DIR --out RUN".
func ExampleIndex_Search() {
	ctx := context.Background()
	m, err := unimo.OpenRetriever("RUN")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	if err := m.WriteIndex(ctx, "PHOTOS", "INDEX"); err != nil {
		log.Fatal(err)
	}
	index, err := m.OpenIndex("INDEX")
	if err != nil {
		log.Fatal(err)
	}
	defer index.Close()
	found, err := index.Search(ctx, "two dogs run on the beach", 10)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range found {
		fmt.Printf("%.3f %s\n", f.Match, f.Path)
	}
}
