// Command greedy holds the answers that two models write greedily against each other, token by token: those of a model and those of the
// same one with weights of whole numbers.
//
//	go run ./bench/greedy -data DATA -out QUESTIONS
//	unimo finetune coqa --data QUESTIONS --preset base --init MINILM --out RUN ...
//	unimo quantize RUN small
//	go run ./bench/greedy -model RUN -against small -test QUESTIONS/test.jsonl
//
// The first makes questions with short passages, of which a small model learns to answer in minutes: CoQA's with the sentences of their
// rationale and the one before, and gaps in captions of Flickr30k. DATA has coqa/ and flickr30k-captions/. It writes train.jsonl,
// dev.jsonl (the last 20 conversations to train on), test.jsonl (the conversations with whole stories) and gaps.jsonl (the gaps of every
// 50th photograph).
//
// The last prints a table in Markdown. A token is equal in its place if both answers have it there. The next token behind the same ones
// is what each model finds likeliest behind the beginnings of the first model's answers; the end counts as a token.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	data := flag.String("data", "", "the folder with coqa/ and flickr30k-captions/ that questions are made of")
	out := flag.String("out", "", "the folder to write questions to")
	model := flag.String("model", "", "the model, a folder")
	against := flag.String("against", "", "the models to hold against it, with commas between")
	test := flag.String("test", "", "file of questions with answers")
	flag.Parse()
	var err error
	switch {
	case *data != "" && *out != "":
		err = makeQuestions(*data, *out)
	case *model != "" && *test != "":
		err = compare(context.Background(), os.Stdout, *model, strings.FieldsFunc(*against, func(r rune) bool { return r == ',' }), *test)
	default:
		err = errors.New("give -data and -out to make questions, or -model, -against and -test to compare answers")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "greedy:", err)
		os.Exit(1)
	}
}
