package run

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/internal/report"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/train"
)

// Retriever is a finished model that compares images with texts. It is not safe for
// concurrent use.
type Retriever struct {
	Config model.Config
	Dir    string
	Limits picture.Limits // of pictures that are read

	rank    RankOptions // of evaluation
	model   *model.Retriever
	scorer  *rank.Scorer
	encoder captionEncoder
	folder  *modeldir.Model
	digest  string            // of weights and configuration; "" until it is needed
	images  regions.Extractor // nil: the model knows only features from elsewhere
}

// OpenRetriever opens the model in the folder dir (or the best model of a run's
// folder). Its weights are mapped, not read.
func OpenRetriever(dir string) (*Retriever, error) {
	folder, err := modeldir.Open(dir)
	if err != nil {
		return nil, err
	}
	r, err := newRetriever(folder)
	if err != nil {
		folder.Close()
		return nil, fmt.Errorf("model %s: %w", folder.Dir, err)
	}
	return r, nil
}

func newRetriever(folder *modeldir.Model) (*Retriever, error) {
	dev := cpu.New()
	m, err := model.Open[*model.Retriever](dev, folder.Config, folder.Weights)
	if err != nil {
		return nil, err
	}
	if err := checkOpened(dev, m.Params); err != nil {
		return nil, err
	}
	r := &Retriever{
		Config: folder.Config, Dir: folder.Dir, folder: folder, model: m, scorer: rank.NewScorer(dev, m),
		encoder: captionEncoder{folder.Tokenizer, folder.Config.MaxTokens()}, Limits: picture.DefaultLimits,
	}
	spec, err := regions.ReadSpec(folder.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if r.images, err = regions.NewExtractor(spec); err != nil {
		return nil, err
	}
	if r.images.Dim() != r.Config.ImageEmbeddingSize {
		return nil, fmt.Errorf("%s makes features of %d values, but image_embedding_size is %d: they belong to different models", regions.SpecFile, r.images.Dim(), r.Config.ImageEmbeddingSize)
	}
	return r, nil
}

// Close releases the model.
func (r *Retriever) Close() error { return r.folder.Close() }

// extractor returns what cuts pictures up for the model.
func (r *Retriever) extractor() (regions.Extractor, error) {
	if r.images == nil {
		return nil, fmt.Errorf("model %s has no %s: it was made for region features from elsewhere; name them with --features", r.Dir, regions.SpecFile)
	}
	return r.images, nil
}

// Picture reads a picture as the model sees it.
func (r *Retriever) Picture(path string) (*regions.Image, error) {
	x, err := r.extractor()
	if err != nil {
		return nil, err
	}
	im := &regions.Image{ID: path}
	return im, picture.VisitFile(path, r.Limits, func(p *picture.Picture) { x.Extract(x.Prepare(p), p.Width, p.Height, im) })
}

// Decode is Picture for the content of a file.
func (r *Retriever) Decode(raw []byte) (*regions.Image, error) {
	x, err := r.extractor()
	if err != nil {
		return nil, err
	}
	im := &regions.Image{ID: "picture"}
	return im, picture.Visit(raw, r.Limits, func(p *picture.Picture) { x.Extract(x.Prepare(p), p.Width, p.Height, im) })
}

// Features reads an image's region features from a file or folder.
func (r *Retriever) Features(path, id string) (*regions.Image, error) {
	source, _, err := regions.Open(path, regions.Options{})
	if err != nil {
		return nil, err
	}
	defer source.Close()
	im := &regions.Image{}
	return im, source.Image(id, im)
}

// Match returns how well an image fits each text: the higher, the better. Scores compare texts
// or images with each other; they are no probabilities.
// tick is called after each batch.
func (r *Retriever) Match(ctx context.Context, im *regions.Image, texts []string, tick func(done, total int)) ([]float32, error) {
	tokens := make(rank.Texts, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		tokens[i], _ = r.encoder.encode(text)
	}
	return r.scorer.Match(ctx, im, tokens, tick)
}

// IndexOptions say how [Retriever.Index] works.
type IndexOptions struct {
	Features bool // what is indexed are region features, not pictures
	Replace  bool // an index of something else gives way
	SkipBad  bool
	Log      *slog.Logger
	Tick     func(stage string, done, total int)
}

// Index makes or updates the index out of the pictures in the folder from and its folders, or of
// the region features there.
func (r *Retriever) Index(ctx context.Context, from, out string, o IndexOptions) (rank.IndexInfo, error) {
	if r.Config.ContrastSize == 0 {
		return rank.IndexInfo{}, fmt.Errorf("model %s has no vectors to search by (contrast_size is 0): fine-tune it with contrast_size", r.Dir)
	}
	source, spec, err := r.indexed(from, o)
	if err != nil {
		return rank.IndexInfo{}, err
	}
	defer source.Close()
	if err := r.checkWeights(); err != nil {
		return rank.IndexInfo{}, err
	}
	digest, err := r.modelDigest()
	if err != nil {
		return rank.IndexInfo{}, err
	}
	return r.scorer.WriteIndex(ctx, out, source, rank.IndexOptions{
		Model: digest, ModelDir: r.Dir, Source: from, Features: o.Features, Extractor: spec, Replace: o.Replace, Tick: o.Tick,
		Bad: func(id string, err error) error {
			if !o.SkipBad {
				return fmt.Errorf("%w; correct or remove it, or leave such images out with --skip-bad", err)
			}
			o.Log.Warn(fmt.Sprintf("%s is left out: %v", id, err))
			return nil
		},
	})
}

func (r *Retriever) indexed(from string, o IndexOptions) (regions.Source, *regions.Spec, error) {
	if o.Features {
		source, info, err := regions.Open(from, regions.Options{SkipBad: o.SkipBad})
		return source, info.Extractor, err
	}
	x, err := r.extractor()
	if err != nil {
		return nil, nil, err
	}
	list, err := regions.ListPictures(from)
	if err != nil {
		return nil, nil, err
	}
	others := list.OtherKinds()
	if len(list.IDs) == 0 {
		if others != "" {
			others = "; it holds " + others
		}
		return nil, nil, fmt.Errorf("%s has no pictures (.jpg, .png, .gif, .webp)%s", from, others)
	}
	if others != "" {
		o.Log.Warn("files passed over: " + others)
	}
	spec := x.Spec()
	return regions.NewPictures(from, list.IDs, x, r.Limits, 0), &spec, nil
}

// modelDigest returns a digest of all that decides what the model makes of images and tokens.
func (r *Retriever) modelDigest() (string, error) {
	if r.digest != "" {
		return r.digest, nil
	}
	weights, err := digestTensors(r.folder.Weights)
	if err != nil {
		return "", err
	}
	config, err := json.Marshal(r.Config)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", weights, config)
	if r.images != nil {
		fmt.Fprintf(h, "%+v\n", r.images.Spec())
	}
	r.digest = hex.EncodeToString(h.Sum(nil))
	return r.digest, nil
}

// Search answers queries from an index.
type Search struct {
	Info     rank.IndexInfo
	Stale    int // images that are left out, see [retrieve.Index]
	r        *Retriever
	index    *rank.Index
	searcher *rank.Searcher
}

// IndexModel returns the folder of the model that made an index.
func IndexModel(index string) (string, error) {
	info, err := rank.ReadIndexInfo(index)
	if err != nil {
		return "", err
	}
	dir := filepath.FromSlash(picture.Name(info.ModelDir))
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the model of index %s is not at %s any more: name it (--model)", index, dir)
	}
	return dir, nil
}

// OpenIndex opens an index that this model made.
func (r *Retriever) OpenIndex(dir string) (*Search, error) {
	digest, err := r.modelDigest()
	if err != nil {
		return nil, err
	}
	ix, err := rank.OpenIndex(dir, digest)
	if err != nil {
		return nil, err
	}
	s, err := rank.NewSearcher(r.scorer, ix)
	if err != nil {
		ix.Close()
		return nil, err
	}
	return &Search{ix.Info, ix.Stale, r, ix, s}, nil
}

// Path returns the file of a picture that was found; "" if the index is of region features.
func (s *Search) Path(id string) string {
	if s.Info.Features {
		return ""
	}
	dir := filepath.FromSlash(picture.Name(s.Info.Source))
	file, err := picture.Find(dir, id)
	if err != nil { // which no index of ours has
		return filepath.Join(dir, "?")
	}
	return file
}

// Close releases the index, not the model.
func (s *Search) Close() error { return s.index.Close() }

// Text finds k pictures for a text; the candidates best ones by vectors are put in order by the full model.
func (s *Search) Text(ctx context.Context, text string, k, candidates int) ([]rank.Found, error) {
	tokens, _ := s.r.encoder.encode(text)
	return s.searcher.Text(ctx, tokens, k, candidates)
}

// Image finds the k pictures most like one.
func (s *Search) Image(ctx context.Context, im *regions.Image, k int) ([]rank.Found, error) {
	return s.searcher.Image(ctx, im, k)
}

// RankOptions say how a retriever is scored.
type RankOptions struct {
	ImageOptions
	TwoStage int    // candidates that the full model puts in order; 0 scores every pair
	Images   int    // the first images only; 0: all
	Compare  int    // images on which two stages are compared with scoring every pair; 0: none
	Scores   string // folder that keeps the scores of all pairs; "" keeps none
}

// fits returns an error if the model was made for another kind of task.
func (r *Retriever) fits(p *Preset) error {
	if p.Retrieval == nil {
		return fmt.Errorf("model %s is for retrieval, but %s needs one for %s: give a model fine-tuned for it", r.Dir, p.Name, p.Problem())
	}
	return nil
}

func (r *Retriever) evaluate(ctx context.Context, _ *Preset, f splitFile, tick func(done, total int)) (Result, error) {
	o := r.rank
	split, err := readSplit(f.Path)
	if err != nil {
		return Result{}, err
	}
	source, _, sets, err := openImages(o.ImageOptions, r.extractor, r.Limits, 1<<30, split)
	if err != nil {
		return Result{}, err
	}
	split = sets[0]
	defer source.Close()
	all := evalSet(split, source, r.encoder)
	set := all.First(o.Images)
	_, cut := r.encoder.all(split)
	result := Result{Split: f.Split, File: f.Path, Notes: append(cutNotes(cut, len(split.Captions), "captions", r.encoder.maxLen), firstNotes(set, all)...)}
	var out rank.Outcome
	if o.TwoStage == 0 {
		out, err = r.exhaustive(ctx, set, o.Scores, tick)
	} else {
		out, err = r.twoStage(ctx, set, o.TwoStage, tick)
	}
	if err != nil {
		return Result{}, err
	}
	result.Metrics = recallNumbers(out.Recalls, set)
	if o.TwoStage > 0 && o.Compare > 0 {
		if err := r.compare(ctx, set.First(o.Compare), o.TwoStage, result.Metrics, tick); err != nil {
			return Result{}, err
		}
	}
	result.Retrieved = &Retrieved{Texts: captionTexts(split, len(set.Images.IDs)), Set: set, Outcome: out, pictures: captions.ImageDir(split.Dir)}
	return result, nil
}

func (r *Retriever) exhaustive(ctx context.Context, set rank.Set, scores string, tick func(done, total int)) (rank.Outcome, error) {
	var folder *rank.ScoreFolder
	if scores != "" {
		identity, err := r.scoreIdentity(ctx, set)
		if err != nil {
			return rank.Outcome{}, err
		}
		if folder, err = rank.OpenScoreFolder(scores, identity); err != nil {
			return rank.Outcome{}, err
		}
		defer folder.Close()
	}
	return r.scorer.Exhaustive(ctx, set, folder, tick)
}

// scoreIdentity says of what the scores of a set are. Images go in as the model sees them: that
// holds whatever changes a score, a file's content or how it is read.
func (r *Retriever) scoreIdentity(ctx context.Context, set rank.Set) (id rank.ScoreIdentity, err error) {
	if id.Model, err = r.modelDigest(); err != nil {
		return id, err
	}
	h := sha256.New()
	for i, tokens := range set.Texts {
		fmt.Fprintln(h, set.ImageOf[i], tokens)
	}
	id.Texts = hex.EncodeToString(h.Sum(nil))
	h.Reset()
	for im, err := range regions.Read(set.Images.Source, set.Images.IDs) {
		if err = cmp.Or(ctx.Err(), err); err != nil {
			return id, err
		}
		fmt.Fprintf(h, "%q %s\n", im.ID, im.Digest())
	}
	id.Images = hex.EncodeToString(h.Sum(nil))
	return id, nil
}

func (r *Retriever) twoStage(ctx context.Context, set rank.Set, n int, tick func(done, total int)) (rank.Outcome, error) {
	v, err := r.scorer.Vectors(ctx, set, func(int, int) {})
	if err != nil {
		return rank.Outcome{}, err
	}
	return r.scorer.TwoStage(ctx, set, v, n, tick)
}

// compare adds to m what two stages lose against scoring every pair, on a set.
func (r *Retriever) compare(ctx context.Context, set rank.Set, n int, m train.Numbers, tick func(done, total int)) error {
	two, err := r.twoStage(ctx, set, n, tick)
	if err != nil {
		return err
	}
	every, err := r.scorer.Exhaustive(ctx, set, nil, tick)
	if err != nil {
		return err
	}
	m["compared_images"] = train.Number(len(set.Images.IDs))
	two2, every2 := recallNumbers(two.Recalls, set), recallNumbers(every.Recalls, set)
	for _, direction := range []string{"image", "text"} {
		for _, k := range []string{"1", "5", "10"} {
			key := direction + "_recall@" + k
			m["compared_exhaustive_"+key], m["compared_two_stage_"+key] = every2[key], two2[key]
			m["compared_lost_"+key] = every2[key] - two2[key]
		}
	}
	return nil
}

// Retrieved is what was found in a split.
type Retrieved struct {
	Texts   []string
	Set     rank.Set
	Outcome rank.Outcome

	pictures string // their folder
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
// many, and the longer side of a picture in pixels.
const (
	galleryTexts  = 12
	galleryImages = 8
	gallerySide   = 160
)

// galleries show some queries of each direction, and say how all were answered.
func (r *Retrieved) galleries() []report.Gallery {
	imageOf := r.Set.ImageOf
	shows := map[int32]string{} // by image: its first caption
	for text, image := range imageOf {
		if _, ok := shows[int32(image)]; !ok {
			shows[int32(image)] = r.Texts[text]
		}
	}
	texts, images := report.Gallery{Title: "Pictures found for captions"}, report.Gallery{Title: "Captions found for pictures"}
	right := func(text int) bool {
		hits := r.Outcome.Images[text]
		return len(hits) > 0 && int(hits[0].Number) == imageOf[text]
	}
	chosen := halfAndHalf(len(r.Outcome.Images), galleryTexts, right)
	texts.Note = chosen.note("captions", "their picture")
	for _, text := range chosen.numbers {
		q := report.GalleryQuery{Text: r.Texts[text], Right: right(text)}
		for _, h := range r.Outcome.Images[text][:min(galleryHits, len(r.Outcome.Images[text]))] {
			q.Found = append(q.Found, report.GalleryItem{Text: r.Set.Images.IDs[h.Number], Picture: r.picture(h.Number), Alt: shows[h.Number], Score: float64(h.Score), Right: int(h.Number) == imageOf[text]})
		}
		texts.Queries = append(texts.Queries, q)
	}
	rightText := func(image int) bool {
		hits := r.Outcome.Texts[image]
		return len(hits) > 0 && imageOf[hits[0].Number] == image
	}
	chosen = halfAndHalf(len(r.Outcome.Texts), galleryImages, rightText)
	images.Note = chosen.note("pictures", "one of their captions")
	for _, image := range chosen.numbers {
		q := report.GalleryQuery{Text: r.Set.Images.IDs[image], Picture: r.picture(int32(image)), Alt: shows[int32(image)], Right: rightText(image)}
		for _, h := range r.Outcome.Texts[image][:min(galleryHits, len(r.Outcome.Texts[image]))] {
			q.Found = append(q.Found, report.GalleryItem{Text: r.Texts[h.Number], Score: float64(h.Score), Right: imageOf[h.Number] == image})
		}
		images.Queries = append(images.Queries, q)
	}
	return []report.Gallery{texts, images}
}

// galleryHits is how many hits of a query are shown.
const galleryHits = 5

// picture returns a picture for a page; "" if there is none, as with features from elsewhere.
func (r *Retrieved) picture(image int32) string {
	file, err := picture.Find(r.pictures, r.Set.Images.IDs[image])
	if err != nil {
		return ""
	}
	return thumbnail(file, gallerySide, picture.DefaultLimits)
}

// Thumbnail returns a picture as the data: URI of one whose longer side has so many pixels at
// most; "" if it cannot be read.
func (r *Retriever) Thumbnail(file string, side int) string { return thumbnail(file, side, r.Limits) }

func thumbnail(file string, side int, l picture.Limits) (uri string) {
	err := picture.VisitFile(file, l, func(p *picture.Picture) { uri, _ = p.DataURI(side) })
	if err != nil {
		return ""
	}
	return uri
}

// choice is what a page shows of n queries.
type choice struct {
	numbers       []int // in order
	n             int
	right         int // of all
	shown, missed int // of those that are shown
}

// gallerySeed draws what a gallery shows: captions of one picture stand together in the data, so that
// even distances could be uneven.
const gallerySeed = 1

// halfAndHalf draws k of n queries, half of them answered rightly where there are enough of both kinds.
func halfAndHalf(n, k int, right func(i int) bool) choice {
	var yes, no []int
	for _, i := range batches.Permutation(gallerySeed, 0, n) {
		if right(i) {
			yes = append(yes, i)
		} else {
			no = append(no, i)
		}
	}
	k = min(k, n)
	missed := min(len(no), max(k/2, k-len(yes)))
	return choice{slices.Sorted(slices.Values(append(yes[:k-missed:k-missed], no[:missed]...))), n, len(yes), k, missed}
}

// note says how many queries found what they should, and how those that are shown were chosen.
func (c choice) note(queries, found string) string {
	note := fmt.Sprintf("%d of %d %s found %s first.", c.right, c.n, queries, found)
	if c.shown == c.n {
		return note + " All are shown."
	}
	return note + fmt.Sprintf(" Shown: %d of these and %d of the others, drawn with seed %d, in the order of the data.", c.shown-c.missed, c.missed, gallerySeed)
}

// Chance is what a recall, such as image_recall@5, would be if pictures and captions were found by
// lot; false for other metrics.
func (r *Retrieved) Chance(metric string) (float64, bool) {
	direction, digits, ok := strings.Cut(metric, "recall@")
	k, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return 0, false
	}
	images, texts := len(r.Set.Images.IDs), len(r.Set.Texts)
	if images == 0 || texts == 0 {
		return 0, false
	}
	image := min(1, float64(k)/float64(images))
	of := make([]int, images)
	for _, i := range r.Set.ImageOf {
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

// WriteGallery writes a page with the metrics and what was found for some queries.
func WriteGallery(path string, p *Preset, r Result, about []report.Item) error {
	page := report.Run{Title: p.Title, Subtitle: "what the model found in " + r.Split, Summary: about, Notes: r.Notes, Galleries: r.Retrieved.galleries(), Metrics: r.tiles(p)}
	if n := float64(r.Metrics["compared_images"]); n > 0 {
		table := report.Table{
			Title:  "Two stages against scoring every pair",
			Header: []string{"on the first " + strconv.Itoa(int(n)) + " pictures", "every pair", "two stages", "lost"},
		}
		for _, direction := range []string{"image", "text"} {
			for _, k := range []string{"1", "5", "10"} {
				key := direction + "_recall@" + k
				row := []string{key}
				for _, kind := range []string{"exhaustive", "two_stage", "lost"} {
					row = append(row, fmt.Sprintf("%.4f", float64(r.Metrics["compared_"+kind+"_"+key])))
				}
				table.Rows = append(table.Rows, row)
			}
		}
		page.Tables = append(page.Tables, table)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return report.Write(w, page) })
}
