// Command finetune trains a small classifier, shows how it goes, and scores it. Ctrl-C saves the run.
//
//	go run ./examples/finetune -out RUN
//	go run ./examples/finetune -data DIR -out RUN -resume
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/unimo-go/unimo"
)

func main() {
	data := flag.String("data", "testdata/films", "folder with train and dev files, or a training file")
	out := flag.String("out", "", "folder of the run")
	resume := flag.Bool("resume", false, "go on with the run in -out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run, err := unimo.Finetune(ctx, unimo.FinetuneOptions{
		Task: "classify", Data: *data, Out: *out,
		TrainOptions: unimo.TrainOptions{
			Resume:   *resume,
			Settings: unimo.Settings{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 300, "epochs": 3},
			Work:     unimo.Work{Progress: show},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("best model %s, of step %d of %d: accuracy %.2f on dev\n", run.Best, run.BestStep, run.Steps, run.Metrics["accuracy"])
}

func show(e unimo.Event) {
	switch e.Kind {
	case unimo.NewStage:
		fmt.Println(e.Stage)
	case unimo.Evaluated:
		fmt.Printf("step %d: %s %.2f\n", e.Step, e.Metric, e.Value)
	}
}
