// Package retrieve is image-text retrieval: Flickr30k and Flickr8k.
//
//	tasks.go      the tasks
//	kind.go       what they share
//	settings.go   what can be set, with the recipe
//	learner.go    what is trained
//	pairs.go      a batch of captions and images, and the pairs of them that are scored
//	retriever.go  a finished model that compares images with texts
//	index.go      an index of pictures, and searching it
//	evaluate.go   ranking a split
//	detail.go     prediction files, and the galleries of the report
//
// Source: the reference's recipe (NLP/UNIMO/script/retrieval).
package retrieve

import (
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Tasks lists the tasks on images with captions.
var Tasks = run.Tasks{
	task("flickr30k", "Flickr30k (image-text retrieval)"),
	task("flickr8k", "Flickr8k (image-text retrieval)"),
}

func task(name, title string) *run.Task {
	return &run.Task{
		Name: name, Title: title, Metric: "recall@1", Command: "finetune", Data: "flickr", Kind: Kind{},
		Splits: images.Splits,
	}
}
