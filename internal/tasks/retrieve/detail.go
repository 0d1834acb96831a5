package retrieve

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// detail is what was found in a split.
type detail struct {
	texts    []string
	set      rank.Set
	outcome  rank.Outcome
	pictures string        // their folder
	compared *report.Table // two stages against scoring every pair; nil if they were not compared
	sample   *calibration.Sample
}

// Sample implements [run.Sampled].
func (d *detail) Sample() *calibration.Sample { return d.sample }

var _ run.Commenter = (*detail)(nil)

func newDetail(split *captions.Set, set rank.Set, out rank.Outcome) *detail {
	return &detail{texts: captionTexts(split, len(set.Images.IDs)), set: set, outcome: out, pictures: captions.ImageDir(split.Dir)}
}

// Answers implements [run.Detail]: the pictures found for texts, then the texts found for pictures.
func (d *detail) Answers() []run.Answer {
	var answers []run.Answer
	for text, hits := range d.outcome.Images {
		a := run.Answer{Text: d.texts[text], Gold: d.set.Images.IDs[d.set.ImageOf[text]]}
		if len(hits) > 0 {
			a.Predicted = d.set.Images.IDs[hits[0].Number]
			a.Value = run.Right(int(hits[0].Number) == d.set.ImageOf[text])
		}
		answers = append(answers, a)
	}
	for image, hits := range d.outcome.Texts {
		a := run.Answer{ID: d.set.Images.IDs[image], Gold: "a caption of it"}
		if len(hits) > 0 {
			a.Predicted = d.texts[hits[0].Number]
			a.Value = run.Right(d.set.ImageOf[hits[0].Number] == image)
		}
		answers = append(answers, a)
	}
	return answers
}

// Section implements [run.Detail].
func (d *detail) Section(page *report.Run) {
	page.Galleries = d.galleries()
	if d.compared != nil {
		page.Tables = append(page.Tables, *d.compared)
	}
}

// Comment implements [run.Commenter].
func (d *detail) Comment(metric, on string) string {
	if chance, ok := d.chance(metric); ok {
		return fmt.Sprintf("%s, by chance %.4f", on, chance)
	}
	return on
}

// Remarks implements [run.Commenter].
func (d *detail) Remarks() ([]string, *report.Table) {
	var chance [3]float64
	for i, key := range []string{"recall@1", "recall@5", "recall@10"} {
		chance[i], _ = d.chance(key)
	}
	return []string{fmt.Sprintf("by chance recall@1, 5 and 10 are %.4f, %.4f and %.4f, the means of both ways", chance[0], chance[1], chance[2])}, nil
}

// foundImage and foundText are what was found for a query, the best first.
type foundImage struct {
	Image string  `json:"image"`
	Score float32 `json:"score"`
}

type foundText struct {
	Text  string  `json:"text"`
	Image string  `json:"image"` // that the text is of
	Score float32 `json:"score"`
}

// WritePredictions implements [run.Detail]. It writes SPLIT.images.jsonl, the images found for each text, and SPLIT.texts.jsonl,
// the texts found for each image: the best of them.
func (d *detail) WritePredictions(dir, split string) error {
	ids := d.set.Images.IDs
	err := run.WriteLines(dir, split+".images.jsonl", len(d.texts), func(text int) any {
		line := struct {
			Text  string       `json:"text"`
			Image string       `json:"image"` // the right one
			Found []foundImage `json:"found"`
		}{d.texts[text], ids[d.set.ImageOf[text]], []foundImage{}}
		for _, h := range d.outcome.Images[text] {
			line.Found = append(line.Found, foundImage{ids[h.Number], h.Score})
		}
		return line
	})
	if err != nil {
		return err
	}
	return run.WriteLines(dir, split+".texts.jsonl", len(ids), func(image int) any {
		line := struct {
			Image string      `json:"image"`
			Found []foundText `json:"found"`
		}{ids[image], []foundText{}}
		for _, h := range d.outcome.Texts[image] {
			line.Found = append(line.Found, foundText{d.texts[h.Number], ids[d.set.ImageOf[h.Number]], h.Score})
		}
		return line
	})
}

// captionTexts returns the captions of the first n images.
func captionTexts(split *captions.Set, n int) []string {
	var texts []string
	for _, c := range split.Captions {
		if c.Image < n {
			texts = append(texts, c.Text)
		}
	}
	return texts
}

// Sizes of a report's gallery: queries of each direction, half of them failures where there are as
// many.
const (
	galleryTexts  = 12
	galleryImages = 8
)

// galleries show some queries of each direction, and say how all were answered.
func (d *detail) galleries() []report.Gallery {
	imageOf := d.set.ImageOf
	shows := map[int32]string{} // by image: its first caption
	for text, image := range imageOf {
		if _, ok := shows[int32(image)]; !ok {
			shows[int32(image)] = d.texts[text]
		}
	}
	texts, pictures := report.Gallery{Title: "Pictures found for captions"}, report.Gallery{Title: "Captions found for pictures"}
	right := func(text int) bool {
		hits := d.outcome.Images[text]
		return len(hits) > 0 && int(hits[0].Number) == imageOf[text]
	}
	chosen := images.Choose(len(d.outcome.Images), galleryTexts, right)
	texts.Note = chosen.Note("captions", "found their picture first")
	for _, text := range chosen.Numbers {
		q := report.GalleryQuery{Text: d.texts[text], Right: right(text)}
		for _, h := range d.outcome.Images[text][:min(galleryHits, len(d.outcome.Images[text]))] {
			q.Found = append(q.Found, report.GalleryItem{Text: d.set.Images.IDs[h.Number], Picture: d.picture(h.Number), Alt: shows[h.Number], Score: float64(h.Score), Right: int(h.Number) == imageOf[text]})
		}
		texts.Queries = append(texts.Queries, q)
	}
	rightText := func(image int) bool {
		hits := d.outcome.Texts[image]
		return len(hits) > 0 && imageOf[hits[0].Number] == image
	}
	chosen = images.Choose(len(d.outcome.Texts), galleryImages, rightText)
	pictures.Note = chosen.Note("pictures", "found one of their captions first")
	for _, image := range chosen.Numbers {
		q := report.GalleryQuery{Text: d.set.Images.IDs[image], Picture: d.picture(int32(image)), Alt: shows[int32(image)], Right: rightText(image)}
		for _, h := range d.outcome.Texts[image][:min(galleryHits, len(d.outcome.Texts[image]))] {
			q.Found = append(q.Found, report.GalleryItem{Text: d.texts[h.Number], Score: float64(h.Score), Right: imageOf[h.Number] == image})
		}
		pictures.Queries = append(pictures.Queries, q)
	}
	return []report.Gallery{texts, pictures}
}

// galleryHits is how many hits of a query are shown.
const galleryHits = 5

// picture returns a picture for a page.
func (d *detail) picture(image int32) string {
	return images.PagePicture(d.pictures, d.set.Images.IDs[image])
}

// chance is what a recall, such as image_recall@5, would be if pictures and captions were found by
// lot; false for other metrics.
func (d *detail) chance(metric string) (float64, bool) {
	direction, digits, ok := strings.Cut(metric, "recall@")
	k, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return 0, false
	}
	images, texts := len(d.set.Images.IDs), len(d.set.Texts)
	if images == 0 || texts == 0 {
		return 0, false
	}
	image := min(1, float64(k)/float64(images))
	of := make([]int, images)
	for _, i := range d.set.ImageOf {
		of[i]++
	}
	text := 0.0 // of a picture: one less the probability that none of its captions is among the first k
	for _, own := range of {
		none := 1.0
		for place := range min(k, texts) {
			none *= max(0, float64(texts-own-place)) / float64(texts-place)
		}
		text += (1 - none) / float64(images)
	}
	switch direction {
	case "image_":
		return image, true
	case "text_":
		return text, true
	case "":
		return (image + text) / 2, true
	}
	return 0, false
}

// firstNotes says that recall is over the first pictures of a split: among fewer it is higher.
func firstNotes(set, all rank.Set) []string {
	if len(set.Images.IDs) == len(all.Images.IDs) {
		return nil
	}
	return []string{fmt.Sprintf("only the first %d of %d pictures are searched: recall is higher among fewer", len(set.Images.IDs), len(all.Images.IDs))}
}
