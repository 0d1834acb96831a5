package backend

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
)

// mostRegions are those of a picture at most that are prepared for where a network finds objects, more of them in one picture than in another.
const mostRegions = 100

// look lets a model look at a blank picture, and search for it.
func (h *head) look(ctx context.Context) (seen eyed, err error) {
	var raw bytes.Buffer
	if err := png.Encode(&raw, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		return seen, err
	}
	if seen.blank, err = h.Pictures.Decode(ctx, raw.Bytes()); err != nil {
		return seen, err
	}
	seen.least, seen.most = seen.blank.Regions(), seen.blank.Regions()
	if len(seen.blank.Classes) > 0 {
		seen.least, seen.most = 1, mostRegions
	}
	if h.index != nil { // how many pictures it has is another size
		_, err = h.index.Search(ctx, []rank.Query{{Text: h.blankTokens(leastTokens), K: 1}})
	}
	return seen, err
}

// ofPictures are rehearsals of what is asked about pictures.
func (h *head) ofPictures(seen eyed) (list []rehearsal, err error) {
	if e := h.embedder; e != nil && e.Reads() {
		list = append(list, rehearsal{seen.least + 1, seen.most + 1, 1, func(ctx context.Context, lengths []int) error {
			_, err := e.Pictures(ctx, seen.pictures(lengths), ignore)
			return err
		}})
	}
	if h.Match != nil {
		list = append(list, rehearsal{seen.least + 1, seen.most + 1, 1, func(ctx context.Context, lengths []int) error {
			items := make([]pair, len(lengths))
			one := &text{tokens: h.blankTokens(leastTokens)}
			for i, im := range seen.pictures(lengths) {
				items[i] = pair{im, one}
			}
			_, err := matching(h.Match)(ctx, items)
			return err
		}}, h.ofPairs(seen, func(ctx context.Context, images []*regions.Image, tokens []int) error {
			items, same := make([]pair, len(images)), map[int]*regions.Image{} // of these as few as there are: only so many are embedded together
			for i, im := range images {
				if n := im.Regions(); same[n] == nil {
					same[n] = im
				}
				items[i] = pair{same[im.Regions()], &text{tokens: h.blankTokens(tokens[i])}}
			}
			_, err := matching(h.Match)(ctx, items)
			return err
		}))
	}
	asked := func(r run.TextReader, ask func(ctx context.Context, images []*regions.Image, texts []string) error) error {
		texts, err := h.blankTexts(r)
		list = append(list, h.ofPairs(seen, func(ctx context.Context, images []*regions.Image, tokens []int) error {
			return ask(ctx, images, texts(tokens))
		}))
		return err
	}
	if h.Judge != nil {
		err = asked(h.Judge, func(ctx context.Context, images []*regions.Image, texts []string) error {
			_, err := h.Judge.Reply(ctx, images, texts, ignore)
			return err
		})
	}
	if h.Ask != nil && h.Answers == nil {
		err = asked(h.Ask, func(ctx context.Context, images []*regions.Image, texts []string) error {
			_, err := h.Ask.Ask(ctx, images, texts, 1, ignore)
			return err
		})
	}
	return list, err
}

// ofPairs is a rehearsal of pictures with texts.
func (h *head) ofPairs(seen eyed, run func(ctx context.Context, images []*regions.Image, tokens []int) error) rehearsal {
	most := h.Model.Config.TextTokens()
	return rehearsal{seen.least + 1 + leastTokens, seen.most + 1 + most, 2, func(ctx context.Context, lengths []int) error {
		rows, tokens := make([]int, len(lengths)), make([]int, len(lengths))
		for i, n := range lengths {
			tokens[i] = min(n-seen.least-1, most)
			rows[i] = n - tokens[i]
		}
		return run(ctx, seen.pictures(rows), tokens)
	}}
}

// eyed is what a model sees of a picture that shows nothing, and how many regions it sees of others.
type eyed struct {
	blank       *regions.Image
	least, most int
}

// pictures returns pictures of so many rows each: the whole, and the regions.
func (e eyed) pictures(rows []int) []*regions.Image {
	list := make([]*regions.Image, len(rows))
	have := e.blank.Regions()
	for i, n := range rows {
		im := *e.blank
		if want := n - 1; want != have {
			im.Boxes, im.Features = slices.Repeat(im.Boxes[:4], want), slices.Repeat(im.Features[:len(im.Features)/have], want)
			im.Classes = slices.Repeat(im.Classes[:len(im.Classes)/have], want)
		}
		list[i] = &im
	}
	return list
}

// blankTokens returns a text of so many tokens that says nothing.
func (h *head) blankTokens(n int) []int32 {
	tokens := slices.Repeat([]int32{h.tokenizer.SEP()}, n)
	tokens[0] = h.tokenizer.CLS()
	return tokens
}

// blankTexts returns a function that makes texts of so many tokens each that say nothing: one word again and again.
func (h *head) blankTexts(r run.TextReader) (func(tokens []int) []string, error) {
	is := func(word string, n int) bool {
		list, _ := r.Encode(strings.Repeat(word, n))
		return len(list) == leastTokens+n
	}
	most := h.Model.Config.TextTokens() - leastTokens
	for id := range min(h.tokenizer.VocabSize(), mostWords) {
		text := h.tokenizer.DecodeString([]int32{int32(id)})
		for _, word := range []string{text, text + " "} {
			if is(word, 3) && is(word, most) {
				return func(tokens []int) []string {
					texts := make([]string, len(tokens))
					for i, n := range tokens {
						texts[i] = strings.Repeat(word, n-leastTokens)
					}
					return texts
				}, nil
			}
		}
	}
	return nil, errors.New("the vocabulary has no word that is one token behind another")
}

// mostWords are looked at for one that is one token.
const mostWords = 1 << 12
