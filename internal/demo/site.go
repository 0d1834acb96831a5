package demo

import (
	"context"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/serve/page"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
)

// Site is what "unimo demo --serve" serves: the checked-in model, an index of pictures that it never saw, and what its page says.
type Site struct {
	Model, Pictures, Index string // folders
	Page                   page.Options
}

// MakeSite makes the site within the folder of the part ready, or finds it there. Nothing is scored, so it takes a moment.
func MakeSite(ctx context.Context, o Options) (Site, error) {
	r := &runner{Options: o, ctx: ctx, part: ready, data: filepath.Join(o.Dir, "data")}
	lock, err := atomicfile.Own(o.Dir)
	if err != nil {
		return Site{}, err
	}
	defer lock.Release()
	if err := r.makeData(); err != nil {
		return Site{}, err
	}
	s := Site{Pictures: filepath.Join(r.data, "images"), Index: filepath.Join(o.Dir, "index"), Page: readyPage}
	if s.Model, err = r.unpacked(); err != nil {
		return Site{}, err
	}
	return s, r.index(s)
}

// index makes the index of the pictures.
func (r *runner) index(s Site) error {
	m, err := retrieve.Open(s.Model, run.Env{Log: r.Log})
	if err != nil {
		return err
	}
	defer m.Close()
	_, err = m.Index(r.ctx, s.Pictures, s.Index, retrieve.IndexOptions{Tick: func(string, int, int) {}})
	return err
}

// readyPage is what the page says of the checked-in model. It knows these forms of sentences, and few others.
var readyPage = page.Options{
	Notice: "A demonstration: this small model knows drawings of coloured shapes and short sentences about them, not photographs.",
	Examples: page.Examples{
		Search: []string{"a big red star top left", "a small black circle below a big black triangle", "a blue ring"},
		Ask:    []string{"what colour is the big object?", "what is at the top right?", "how many small objects do you see?"},
		Judge:  []string{"you see a red object", "at the top left is a square", "behind the curtain is a red ring"},
		Rank: []string{
			"a small black circle below a big black triangle", "a big red star and a small green square", "a small blue circle below a big black triangle",
			"a big black triangle above a small black circle",
		},
		Match: []string{"a small black circle below a big black triangle", "a big red star and a small green square", "a big yellow ring top left"},
	},
}
