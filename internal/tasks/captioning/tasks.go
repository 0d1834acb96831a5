// Package captioning is captions of pictures: COCO's, and those of any pictures.
//
//	tasks.go      the task
//	kind.go       what it is to a run
//	settings.go   what can be set, with the recipe
//	tags.go       names of objects beside the regions
//	split.go      pictures with captions as the model reads them
//	writer.go     running a generator over pictures
//	learner.go    what is trained
//	captioner.go  a finished model that captions pictures
//	detail.go     scores, prediction files, and the gallery of the report
//
// Source: the reference's recipe (NLP/UNIMO/script/img2txt).
package captioning

import (
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Tasks lists the tasks on captions that are written.
var Tasks = run.Tasks{{
	Name: "coco-caption", Title: "COCO (captions of pictures)", Metric: "cider-d", Command: "finetune", Data: "flickr", Kind: Kind{}, Splits: images.Splits,
}}
