package run

import (
	"maps"
	"slices"
)

// imagePresets are the tasks on images with captions.
var imagePresets = map[string]*Preset{
	"flickr30k": imagePreset("flickr30k", "Flickr30k (image-text retrieval)"),
	"flickr8k":  imagePreset("flickr8k", "Flickr8k (image-text retrieval)"),
}

func imagePreset(name, title string) *Preset {
	return &Preset{
		Name: name, Title: title, Metric: "recall@1", Retrieval: &Retrieval{},
		Train: Split{"train", []string{"train.txt"}}, Dev: dev("dev.txt"), Test: test("test.txt"),
	}
}

// Scenes is the demo's retrieval task, on synthetic pictures; it is not among the names of
// the command line.
var Scenes = imagePreset("scenes", "synthetic scenes")

// ImageNames lists the tasks on images.
func ImageNames() []string { return slices.Sorted(maps.Keys(imagePresets)) }
