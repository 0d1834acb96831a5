package backend

import "time"

// Observer is told what happens behind the models. Its methods are called by many goroutines and must be quick.
type Observer interface {
	Queued(model string, requests int) // how many requests wait now
	Refused(model string)              // a request met a full queue
	Ran(model string, b Batch)
	Loaded(model string, took time.Duration, err error)
}

type silent struct{}

func (silent) Queued(string, int)                  {}
func (silent) Refused(string)                      {}
func (silent) Ran(string, Batch)                   {}
func (silent) Loaded(string, time.Duration, error) {}

// Batch is what went through a model together.
type Batch struct {
	Work     string // "embed", "score", ...
	Requests int
	Items    int           // texts, pictures or pairs
	Tokens   int           // with the regions of pictures
	Pictures int           // items that are a picture, or are about one
	Waited   time.Duration // of the request that waited longest
	Took     time.Duration
	Err      error
}
