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
