package unimo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/vectorstore"
)

// Classify two sentences. The model has learnt some lines of testdata/films by heart.
func Example() {
	m, err := unimo.Open("testdata/films.model")
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
		fmt.Printf("%s %.1f\n", a.Label, a.Probability)
	}
	// Output:
	// positive 1.0
	// negative 1.0
}

// Say what follows from a picture. The model has learnt the claims of testdata/claims about the pictures of shapes.
func ExampleModel_Predict_picture() {
	m, err := unimo.Open("testdata/claims.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	picture, err := os.ReadFile("testdata/shapes/images/red-bar.png")
	if err != nil {
		log.Fatal(err)
	}
	answers, err := m.Predict(context.Background(),
		unimo.Input{Picture: picture, Text: "it is a bar"},
		unimo.Input{Picture: picture, Text: "it is a square"},
		unimo.Input{Picture: picture, Text: "it is old"})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range answers {
		fmt.Printf("%s %.1f\n", a.Label, a.Probability)
	}
	_, err = m.Predict(context.Background(), unimo.Input{Text: "it is a bar"})
	fmt.Println(err)
	// Output:
	// entailment 1.0
	// contradiction 1.0
	// neutral 1.0
	// input 1 has a text and no picture, but the model answers about both; give it a picture, too
}

// Open takes the folder of a model, or of a run.
func ExampleOpen() {
	m, err := unimo.Open("testdata/films.model", unimo.Threads(1))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	fmt.Println(m.Labels())
	// Output: [negative positive]
}

// A model for another kind of task is told apart from a missing one.
func ExampleOpen_errors() {
	_, err := unimo.Open("testdata/headlines.model")
	fmt.Println(errors.Is(err, unimo.ErrWrongTask), errors.Is(err, os.ErrNotExist))
	_, err = unimo.Open("testdata/missing")
	fmt.Println(errors.Is(err, unimo.ErrWrongTask), errors.Is(err, os.ErrNotExist))
	// Output:
	// true false
	// false true
}

func ExampleModel_Predict() {
	m, err := unimo.Open("testdata/films.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	answers, err := m.Predict(context.Background(), unimo.Input{Text: "slow and boring and far too long"})
	if err != nil {
		log.Fatal(err)
	}
	for i, label := range m.Labels() {
		fmt.Printf("%s %.1f\n", label, answers[0].Probabilities[i])
	}
	// Output:
	// negative 1.0
	// positive 0.0
}

// Closing waits for the calls in progress. Later ones are an error.
func ExampleModel_Close() {
	m, err := unimo.Open("testdata/films.model")
	if err != nil {
		log.Fatal(err)
	}
	m.Close()
	_, err = m.Predict(context.Background(), unimo.Input{Text: "a funny film"})
	fmt.Println(errors.Is(err, unimo.ErrClosed))
	// Output: true
}

// A prediction is written as "unimo predict --json" writes it.
func ExamplePrediction_MarshalJSON() {
	raw, err := unimo.Prediction{Score: 3.5}.MarshalJSON()
	fmt.Println(string(raw), err)
	// Output: {"score":3.5} <nil>
}

// A server keeps cores for other work.
func ExampleThreads() {
	_, err := unimo.Open("testdata/films.model", unimo.Threads(0))
	fmt.Println(errors.Is(err, unimo.ErrSetting))
	m, err := unimo.Open("testdata/films.model", unimo.Threads(2))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Close())
	// Output:
	// true
	// <nil>
}

// What computes is the processor. Another device, such as "cuda", needs a plugin of its maker; a name that is none is told at once.
func ExampleDevice() {
	_, err := unimo.Open("testdata/films.model", unimo.Device("cdua"))
	fmt.Println(errors.Is(err, unimo.ErrSetting), err)
	m, err := unimo.Open("testdata/films.model", unimo.Device("cpu"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Close())
	// Output:
	// true unknown device "cdua"; did you mean cuda?
	// <nil>
}

// Accelerators round the factors of products, if asked for. The processor has no tf32.
func ExamplePrecision() {
	_, err := unimo.Open("testdata/films.model", unimo.Precision("tf32"))
	fmt.Println(errors.Is(err, unimo.ErrSetting))
	m, err := unimo.Open("testdata/films.model", unimo.Device("cpu"), unimo.Precision("float32"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Close())
	// Output:
	// true
	// <nil>
}

// Write headlines. The model has learnt those of testdata/headlines by heart.
func ExampleOpenGenerator() {
	m, err := unimo.OpenGenerator("testdata/headlines.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	texts, err := m.Generate(context.Background(), unimo.Request{Texts: []string{"the city opens a new bridge over the river on monday"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(texts[0].Text)
	// Output: new bridge opens
}

// Pieces of the text come as soon as they are settled.
func ExampleGenerator_Stream() {
	m, err := unimo.OpenGenerator("testdata/headlines.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	request := unimo.Request{Texts: []string{"heavy rain closes the main road to the airport"}}
	_, err = m.Stream(context.Background(), request, func(piece string) { fmt.Print(piece) })
	if err != nil {
		log.Fatal(err)
	}
	// Output: rain closes road
}

// Begin with the model's own decoding, and change what is to be another.
func ExampleGenerator_GenerateWith() {
	m, err := unimo.OpenGenerator("testdata/headlines.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	greedy := m.Decoding()
	greedy.Beam = 1
	texts, err := m.GenerateWith(context.Background(), greedy, unimo.Request{Texts: []string{"the team wins the final after a long match"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(texts[0].Text, texts[0].Finished)
	// Output: team wins final true
}

// Compare a picture with texts. The model has learnt the six pictures of testdata/shapes by heart.
func ExampleOpenRetriever() {
	m, err := unimo.OpenRetriever("testdata/shapes.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	picture, err := os.ReadFile("testdata/shapes/images/red-bar.png")
	if err != nil {
		log.Fatal(err)
	}
	scores, err := m.Match(context.Background(), picture, "a red bar", "a blue square")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(scores[0].Score > scores[1].Score)
	// Output: true
}

// Ask about a picture. The model has learnt the answers of testdata/questions by heart.
func ExampleOpenAnswerer() {
	m, err := unimo.OpenAnswerer("testdata/questions.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	picture, err := os.ReadFile("testdata/shapes/images/green-bar.png")
	if err != nil {
		log.Fatal(err)
	}
	answers, err := m.Ask(context.Background(), picture, "what colour is it?", "what is it?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answers[0].Text, answers[1].Text)
	// Output: green bar
}

// Ask for several answers to each question.
func ExampleAnswerer_AskTop() {
	m, err := unimo.OpenAnswerer("testdata/questions.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	picture, err := os.ReadFile("testdata/shapes/images/red-square.png")
	if err != nil {
		log.Fatal(err)
	}
	answers, err := m.AskTop(context.Background(), 3, picture, "is it a square?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(answers[0]), answers[0][0].Text, answers[0][0].Probability > answers[0][1].Probability)
	// Output: 3 yes true
}

// Make an index of a folder of pictures, and search it.
func ExampleRetriever_WriteIndex() {
	ctx := context.Background()
	m, err := unimo.OpenRetriever("testdata/shapes.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	dir, err := os.MkdirTemp("", "unimo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := m.WriteIndex(ctx, "testdata/shapes/images", filepath.Join(dir, "index")); err != nil {
		log.Fatal(err)
	}
	index, err := m.OpenIndex(filepath.Join(dir, "index"))
	if err != nil {
		log.Fatal(err)
	}
	defer index.Close()
	found, err := index.Search(ctx, "a green square", 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(filepath.Base(found[0].Path))
	// Output: green-square.png
}

// An index knows which model made it, and opens it.
func ExampleOpenIndex() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "unimo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	folder := filepath.Join(dir, "index")
	m, err := unimo.OpenRetriever("testdata/shapes.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	if err := m.WriteIndex(ctx, "testdata/shapes/images", folder); err != nil {
		log.Fatal(err)
	}
	index, err := unimo.OpenIndex(folder)
	if err != nil {
		log.Fatal(err)
	}
	defer index.Close()
	picture, err := os.ReadFile("testdata/shapes/images/blue-bar.png")
	if err != nil {
		log.Fatal(err)
	}
	found, err := index.Similar(ctx, picture, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(filepath.Base(found[0].Path))
	// Output: blue-bar.png
}

// An index whose vectors are in a vector database is searched there.
func ExampleStores() {
	_, err := unimo.OpenIndex("INDEX", unimo.Stores(vectorstore.Open))
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}

// With more candidates a search is slower and finds more; with none the vectors alone decide.
func ExampleIndex_SearchWith() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "unimo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	m, err := unimo.OpenRetriever("testdata/shapes.model")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	if err := m.WriteIndex(ctx, "testdata/shapes/images", filepath.Join(dir, "index")); err != nil {
		log.Fatal(err)
	}
	index, err := m.OpenIndex(filepath.Join(dir, "index"))
	if err != nil {
		log.Fatal(err)
	}
	defer index.Close()
	for _, candidates := range []int{0, 3} {
		found, err := index.SearchWith(ctx, "a red square", 2, candidates)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(found), found[0].Ranked)
	}
	// Output:
	// 2 false
	// 2 true
}

func ExampleTasks() {
	for _, t := range unimo.Tasks() {
		if t.Name == "mnli" {
			fmt.Println(t.Title, t.Metric, t.Splits)
		}
	}
	// Output: MNLI (natural language inference) accuracy [train dev dev_m dev_mm test_m test_mm ax]
}

// Train a small model on own labels, watch it, and score it.
func ExampleFinetune() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "unimo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	steps := 0
	run, err := unimo.Finetune(ctx, unimo.FinetuneOptions{
		Task: "classify", Data: "testdata/films", Out: filepath.Join(dir, "run"),
		TrainOptions: unimo.TrainOptions{
			Settings: unimo.Settings{"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 264, "epochs": 2, "batch_size": 4},
			Work: unimo.Work{Progress: func(e unimo.Event) {
				if e.Kind == unimo.Step {
					steps = e.Step
				}
			}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(steps, run.Steps, filepath.Base(run.Best), filepath.Base(run.Report))
	fmt.Println(slices.Sorted(maps.Keys(run.Metrics)))
	// Output:
	// 8 8 best report.html
	// [accuracy examples loss macro_f1 matthews]
}

// Train one model for two tasks, and ask it for both. It opens as what the task is that fits; ForTask names one where
// several do.
func ExampleForTask() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "unimo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	run, err := unimo.Finetune(ctx, unimo.FinetuneOptions{
		Task: "multi", Out: filepath.Join(dir, "run"),
		TrainOptions: unimo.TrainOptions{Settings: unimo.Settings{
			"tasks": []string{"classify=testdata/films", "gigaword=testdata/headlines"}, "gigaword.max_out_len": 4, "gigaword.min_out_len": 1,
			"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 264, "epochs": 1,
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	m, err := unimo.Open(run.Best, unimo.ForTask("classify"))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	g, err := unimo.OpenGenerator(run.Best)
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	fmt.Println(m.Labels(), g.Decoding().MaxLength)
	_, noTask := unimo.OpenRetriever(run.Best)
	_, noName := unimo.Open(run.Best, unimo.ForTask("cola"))
	fmt.Println(errors.Is(noTask, unimo.ErrWrongTask), errors.Is(noName, unimo.ErrSetting))
	// Output:
	// [negative positive] 4
	// true true
}

// Score a model. The task is that of the model.
func ExampleEvaluate() {
	scores, err := unimo.Evaluate(context.Background(), unimo.EvaluateOptions{Model: "testdata/films.model", Data: "testdata/films", Split: "train"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %.2f\n", scores[0].Split, scores[0].Metrics["accuracy"])
	// Output: train 1.00
}

// Pre-train on a few texts. What can be set about it is listed by "unimo pretrain --example".
func ExamplePretrain() {
	dir, err := os.MkdirTemp("", "unimo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	run, err := unimo.Pretrain(context.Background(), unimo.PretrainOptions{
		Out: filepath.Join(dir, "run"),
		TrainOptions: unimo.TrainOptions{Settings: unimo.Settings{
			"text": []string{"testdata/headlines/texts.txt"}, "ratio_images": 0, "ratio_pairs": 0, "max_steps": 3, "eval_steps": 3, "batch_size": 2,
			"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 264,
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Steps, filepath.Base(run.Best))
	// Output: 3 best
}
