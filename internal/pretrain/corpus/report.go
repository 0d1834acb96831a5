package corpus

import (
	"errors"
	"io/fs"
	"maps"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// The reasons for which something is passed over.
const (
	EmptyText    = "empty text"
	EmptyCaption = "empty caption"
	NoCaption    = "no caption"
	NoPicture    = "no picture"
	BadPicture   = "picture cannot be read"
	Outside      = "picture outside the folder"
	LongLine     = "too long"
	NotUTF8      = "not UTF-8"
	NotJSON      = "not JSON of the form"
	CutOff       = "shard cut off or damaged"
	Twice        = "two pictures or two texts of one name"
	OddObjects   = "objects are no list of names"                             // which alone are passed over
	Dotted       = ": a name is cut at its first dot, and these have another" // behind NoPicture and NoCaption
)

// Report says what a pass over a collection found.
type Report struct {
	Samples int               `json:"samples"`           // of use
	Skipped map[string]int    `json:"skipped,omitempty"` // by reason: how many were passed over
	First   map[string]string `json:"first,omitempty"`   // by reason: where the first of them is
}

// Skip counts something that is passed over.
func (r *Report) Skip(reason, where string) {
	if r.Skipped == nil {
		r.Skipped = map[string]int{}
	}
	if r.First == nil {
		r.First = map[string]string{}
	}
	if r.Skipped[reason]++; r.First[reason] == "" {
		r.First[reason] = where
	}
}

// Add adds what another report has, which comes behind this one.
func (r *Report) Add(o Report) {
	r.Samples += o.Samples
	for reason, n := range o.Skipped {
		r.Skip(reason, o.First[reason])
		r.Skipped[reason] += n - 1
	}
}

func (r Report) clone() Report {
	r.Skipped, r.First = maps.Clone(r.Skipped), maps.Clone(r.First)
	return r
}

// Reason says for which reason a sample is passed over whose [Sample.Image] failed.
func Reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, regions.ErrNoImage) {
		return NoPicture
	}
	var known *infile.Error
	if errors.As(err, &known) && strings.HasPrefix(known.Problem, "is a ") {
		return known.Problem // a Git LFS pointer, a web page, a pipe
	}
	return BadPicture
}

// skipped is the error of a cursor that has passed over something; more may follow.
type skipped struct{ reason, where string }

func (s skipped) Error() string { return s.where + ": " + s.reason }
