package captioning

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/coco"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/tokenizer"
)

// Tagger gives the names of the objects in images: from a file, or by what a detector takes regions for. The zero value knows none.
type Tagger struct {
	file     *coco.Objects
	detector *coco.Vocabulary
}

// OpenTagger reads what tags come from. With a vocabulary the names in the file must be its. Without settings the names
// are those of the extractor, if it is a detector; it may be nil.
func OpenTagger(s TagSettings, extractor *regions.Spec) (g Tagger, err error) {
	if s == (TagSettings{}) && extractor != nil && len(extractor.Classes) > 0 {
		g.detector = coco.NewVocabulary(extractor.String(), extractor.Classes)
	}
	if s.ObjectVocab != "" {
		if g.detector, err = coco.ReadVocabulary(s.ObjectVocab); err != nil {
			return g, err
		}
	}
	if s.Objects != "" {
		g.file, err = coco.ReadObjects(s.Objects, g.detector)
	}
	return g, err
}

// Classes says whether region features must come with their classes.
func (g Tagger) Classes() bool { return g.file == nil && g.detector != nil }

// of returns the tags of an image.
func (g Tagger) of(im *regions.Image) (coco.Tags, error) {
	if g.file != nil {
		tags, _ := g.file.Of(im.ID)
		return tags, nil
	}
	if g.detector == nil {
		return coco.Tags{}, nil
	}
	names, err := g.detector.Detected(im)
	return coco.Tags{Names: names}, err
}

// Lacks counts images that a file of tags has not.
func (g Tagger) Lacks(names []string) (n int) {
	for _, name := range names {
		if g.file == nil {
			return 0
		}
		if _, ok := g.file.Of(name); !ok {
			n++
		}
	}
	return n
}

// Notes say that n of all images are not in the file of tags.
func (g Tagger) Notes(n, all int) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d images have no objects in %s", n, all, g.file.Path)}
}

// notes are those about a split.
func (g Tagger) notes(names []string) []string { return g.Notes(g.Lacks(names), len(names)) }

// tokens returns the tags of an image as tokens: [CLS], the names and [SEP], the first limit of them, as the reference cuts them. There are
// none of no tags.
func (g Tagger) tokens(im *regions.Image, tok *tokenizer.Tokenizer, limit int) ([]int32, error) {
	if limit == 0 {
		return nil, nil
	}
	tags, err := g.of(im)
	if err != nil {
		return nil, err
	}
	tokens := tags.Tokens
	for _, id := range tokens {
		if int(id) >= tok.VocabSize() {
			return nil, &textfile.FileError{File: g.file.Path, Line: tags.Line, Problem: fmt.Sprintf("token %d is not in the model's vocabulary of %d", id, tok.VocabSize()),
				Remedy: "give names instead of tokens, or the tokens of this vocabulary"}
		}
	}
	if tokens == nil && len(tags.Names) > 0 {
		tokens, _ = tok.EncodeUpTo([]int32{tok.CLS()}, strings.Join(tags.Names, " "), limit)
		tokens = append(tokens, tok.SEP())
	}
	return tokens[:min(len(tokens), limit)], nil
}
