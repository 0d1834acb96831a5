package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
)

// modelFlag registers --model, which is needed, and --task.
func modelFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVarP(dir, "model", "m", "", "`DIR` of the model, or of a run for its best model; or the name of one that 'unimo pull' fetched")
	c.MarkFlagRequired("model")
	taskFlag(c)
	deviceFlags(c)
}

// taskFlag registers --task, which [app.env] has.
func taskFlag(c *cobra.Command) {
	c.Flags().StringVar(new(string), "task", "", "`NAME` of the task to open, of a model for several of which more than one fits")
}

// pixelsFlag registers --max-pixels.
func pixelsFlag(c *cobra.Command, pixels *int) {
	c.Flags().IntVar(pixels, "max-pixels", 0, "most pixels of a picture (0: 50 million); larger ones are refused before they are decoded")
}

// extractorName is the flag of [extractorFlag].
const extractorName = "extractor"

// extractorFlag registers --extractor, which [app.env] has.
func extractorFlag(c *cobra.Command) {
	c.Flags().StringVar(new(string), extractorName, "", "trained network that sees the pictures, `FILE` or folder, where the model's folder has none")
}

// openRetriever opens a model with a limit of the pictures' pixels.
func (a *app) openRetriever(dir string, maxPixels int) (*retrieve.Retriever, error) {
	r, err := retrieve.Open(dir, a.env())
	if err == nil && maxPixels > 0 {
		r.Limits.MaxPixels = maxPixels
	}
	return r, err
}

// field is the probability as a field of a line's format, behind the score; "" without a calibration.
func field(m run.Matched) string {
	if !m.Calibrated {
		return ""
	}
	return fmt.Sprintf("\t%.4f", m.Probability)
}

// nothingFits is said where no probability reaches the threshold. It stands on standard error: the lines are there nevertheless.
const nothingFits = "nothing fits: no probability reaches the model's threshold (calibration.json)"

// sayNothingFits says so, unless one of a list fits, or nothing is known of them.
func (a *app) sayNothingFits(list []run.Matched) {
	calibrated := func(m run.Matched) bool { return m.Calibrated }
	if slices.ContainsFunc(list, calibrated) && !slices.ContainsFunc(list, func(m run.Matched) bool { return m.Fits }) {
		a.log.Info(nothingFits)
	}
}

func (a *app) matchCommand() *cobra.Command {
	var modelDir, features string
	var pixels int
	c := &cobra.Command{
		Use:   "match --model DIR PICTURE TEXT...",
		Short: "Score how well texts fit a picture",
		Long: `Score how well each text fits a picture: the higher, the better. A line of output is
score and text, tab-separated; with --json one object a line. Scores compare texts of a
picture, or pictures of a text. A model that was calibrated (evaluate --calibrate) gives the
probability that the text fits, too, behind the score, and says where nothing fits. It is that
of one pair, as if half of all pairs fitted: among many texts it is too high.

PICTURE is a file (JPEG, PNG, GIF, WebP); with --features it is the id of an image in
region features.`,
		Example: `  unimo match --model RUN/best dog.jpg "a dog runs on the beach" "two men play chess"
  unimo match --model RUN/best --features FEATURES 36979 "two men are talking"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("give a picture and one text or more")
			}
			if slices.Contains(args[1:], "-") {
				return usagef("match reads no standard input; give the texts themselves, in quotes")
			}
			if features == "" && absent(args[0]) {
				return fmt.Errorf("%s is no file: the picture comes first, then the texts", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.openRetriever(modelDir, pixels)
			if err != nil {
				return err
			}
			defer r.Close()
			im, err := r.Image(args[0], features)
			if err != nil {
				return err
			}
			scores, err := r.Match(c.Context(), im, args[1:], func(int, int) {})
			if err != nil {
				return err
			}
			for i, text := range args[1:] {
				if a.json {
					err = a.printJSON(answer.Match{Image: args[0], Text: text, Score: scores[i].Score, Fit: answer.FitOf(scores[i])})
				} else {
					_, err = printable.Fprintf(a.stdout, "%.4f"+field(scores[i])+"\t%s\n", scores[i].Score, oneField.Replace(text))
				}
				if err != nil {
					return err
				}
			}
			a.sayNothingFits(scores)
			return nil
		},
	}
	modelFlag(c, &modelDir)
	extractorFlag(c)
	pixelsFlag(c, &pixels)
	c.Flags().StringVar(&features, "features", "", "file or folder of region features, where PICTURE is an id in it")
	return c
}

// noStore is the --store of an index that is to have its vectors in its folder alone.
const noStore = "none"

// indexed is what "unimo index --json" prints.
type indexed struct {
	rank.IndexInfo
	Store *rank.StoreInfo `json:"store,omitempty"`
}

// fairRecall is what a database is expected to find of the exact answers.
const fairRecall = 0.99

func (a *app) indexCommand() *cobra.Command {
	var modelDir, out string
	var pixels int
	var o retrieve.IndexOptions
	c := &cobra.Command{
		Use:   "index PICTURES --model DIR --out INDEX",
		Short: "Make a folder of pictures searchable",
		Long: `Make an index of the pictures in a folder and its folders, for 'unimo search': a vector
of each, and its regions for the final order. An index that was interrupted goes on with the
same command, and one that is there is brought up to date: pictures that are new or have
changed are read, those that are gone leave it. An index of another folder is refused;
--replace makes it one of PICTURES.

With --store the vectors go to a vector database as well, which 'unimo search' and 'unimo serve'
then ask for candidates: postgres://USER@HOST/DATABASE is a PostgreSQL with the extension
vector (pgvector), weaviate+http://HOST:8080 a Weaviate. Several --store are shards. A password
comes from PGPASSWORD or ~/.pgpass, the API key of Weaviate from WEAVIATE_API_KEY.
The index remembers the URLs, without passwords; --store none takes it out of the database.
How much of the exact answers the database finds is measured and printed.

In ids, a byte of a name that is not UTF-8 is %XX.`,
		Example: `  unimo index PHOTOS --model RUN/best --out INDEX
  unimo index PHOTOS --model RUN/best --out INDEX --store postgres://ada@db.example/photos
  unimo search --model RUN/best --index INDEX "two dogs run on the beach"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("name one folder of pictures")
			}
			if o.NoStore = slices.Contains(o.Stores, noStore); o.NoStore {
				if len(o.Stores) > 1 {
					return usagef("--store %s goes alone", noStore)
				}
				o.Stores = nil
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.openRetriever(modelDir, pixels)
			if err != nil {
				return err
			}
			defer r.Close()
			progress := a.newProgress()
			defer progress.finish()
			stage := ""
			o.Tick = func(name string, done, total int) {
				if name != stage {
					stage = name
					progress.Stage("indexing: " + name)
				}
				progress.Tick(done, total)
			}
			info, err := r.Index(c.Context(), args[0], out, o)
			progress.finish()
			if err != nil {
				return err
			}
			if s := info.Store; s != nil && s.Queries > 0 && s.Recall < fairRecall {
				a.log.Warn(fmt.Sprintf("the database finds %.4f of the pictures that are nearest; have it look further (docs/guides/retrieve.md: hnsw.ef_search of pgvector), or fill it anew: --store none, then --store URL", s.Recall))
			}
			if a.json {
				return a.printJSON(indexed{info, info.Store})
			}
			_, err = printable.Fprintf(a.stdout, "%d images in %s, %d of them new or changed\n", info.Images, out, info.Computed)
			if s := info.Store; s != nil && err == nil {
				_, err = printable.Fprintf(a.stdout, "%d vectors sent to %s; recall@20 against the exact index %.4f (%d queries)\n", s.Sent, strings.Join(s.URLs, ", "), s.Recall, s.Queries)
			}
			return err
		},
	}
	modelFlag(c, &modelDir)
	extractorFlag(c)
	pixelsFlag(c, &pixels)
	c.Flags().StringVarP(&out, "out", "o", "", "folder `INDEX` to make or bring up to date")
	c.Flags().StringArrayVar(&o.Stores, "store", nil, "`URL` of a vector database for the vectors; several are shards; none: no database any more")
	c.Flags().BoolVar(&o.Replace, "replace", false, "let an index of another folder give way")
	c.Flags().BoolVar(&o.SkipBad, "skip-bad", false, "leave out pictures that cannot be read, and say so")
	c.Flags().BoolVar(&o.Features, "features", false, "PICTURES are region features (file or folder)")
	c.MarkFlagRequired("out")
	return c
}

func (a *app) searchCommand() *cobra.Command {
	var modelDir, indexDir, image, page string
	var k, candidates, pixels int
	var show bool
	c := &cobra.Command{
		Use:   "search --index INDEX TEXT | --image FILE",
		Short: "Find pictures for a text, or like a picture",
		Long: `Find the pictures of an index that fit a text, or that are most like a picture. A line of
output is rank, score and path, tab-separated; with --json one object a line, whose path is
absolute. --model is the model that made the index; by default it is where it was then.

Every vector of the index is looked at, or the database that has them is asked ('unimo index
--store'). Of a text's best --candidates the full model makes the
final order, and their score is the match score; of the others, and for --image, it is the
similarity of the vectors (-1 to 1). Of a model that was calibrated (evaluate --calibrate) the
probability that a picture fits the text follows the score, and it is said where nothing fits.
It is that of one picture, as if half of all fitted: of N pictures hold it against 1 - 1/N, as
0.999 of 1,000, where it matters whether any fits at all.
Without a text a terminal asks line by line.

--open shows the pictures in the browser, --html FILE writes that page: one file that holds
all it shows.`,
		Example: `  unimo search --index INDEX "two dogs run on the beach"
  unimo search --index INDEX "two dogs run on the beach" --open
  unimo search --model RUN/best --index INDEX --image dog.jpg -k 20 --json`,
		Args: func(_ *cobra.Command, args []string) error {
			typed := len(args) == 0 && image == "" && a.typist() != nil
			if (len(args) == 1) == (image != "") && !typed || len(args) > 1 {
				return usagef("give one text (in quotes), or --image FILE")
			}
			switch {
			case slices.Contains(args, "-"):
				return usagef("search reads no standard input; give the text itself, in quotes (without one a terminal asks line by line)")
			case k < 1:
				return usagef("-k is %d, want 1 or more", k)
			case candidates < 0:
				return usagef("--candidates is %d, want 0 or more", candidates)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.openIndexModel(modelDir, indexDir, pixels)
			if err != nil {
				return err
			}
			defer r.Close()
			s, err := r.OpenIndex(c.Context(), indexDir)
			if err != nil {
				return err
			}
			defer s.Close()
			if s.Stale > 0 {
				a.log.Warn(fmt.Sprintf("%d pictures are left out: an update of the index was interrupted; run it again", s.Stale))
			}
			switch {
			case !r.VectorsOnly || image != "":
			case !c.Flags().Changed("candidates"):
				candidates = 0 // vectors are all that the model was trained for
			case candidates > 0:
				a.log.Warn(retrieve.UntrainedHead)
			}
			find := func(text string) error {
				hits, err := search(c.Context(), r, s, text, image, k, candidates)
				if err != nil {
					return err
				}
				if err := a.printFound(s, hits, image == ""); err != nil || page == "" && !show {
					return err
				}
				return a.showFound(r, s, searchedFor(r, text, image), hits, page, show)
			}
			switch {
			case len(args) > 0:
				return find(args[0])
			case image == "":
				return a.ask(c.Context(), "what the pictures should show", find)
			}
			return find("")
		},
	}
	extractorFlag(c)
	pixelsFlag(c, &pixels)
	flags := c.Flags()
	flags.StringVarP(&modelDir, "model", "m", "", "`DIR` of the model that made the index, if it is not where it was")
	taskFlag(c)
	deviceFlags(c)
	flags.StringVar(&indexDir, "index", "", "folder of the index (see 'unimo index')")
	flags.StringVar(&image, "image", "", "picture to find similar ones to, instead of a text")
	flags.IntVarP(&k, "count", "k", 10, "pictures to find")
	flags.IntVar(&candidates, "candidates", 20, "best pictures by vectors that the full model puts in order (0: none, as of a model trained for vectors alone)")
	flags.StringVar(&page, "html", "", "page with the pictures to write to `FILE`")
	flags.BoolVar(&show, "open", false, "show the pictures in the browser")
	c.MarkFlagRequired("index")
	return c
}

// openIndexModel opens the model of an index: the named one, or the one that made it.
func (a *app) openIndexModel(dir, index string, pixels int) (*retrieve.Retriever, error) {
	if dir != "" {
		return a.openRetriever(dir, pixels)
	}
	dir, err := retrieve.IndexModel(index)
	if err != nil {
		return nil, err
	}
	return a.openRetriever(dir, pixels)
}

func search(ctx context.Context, r *retrieve.Retriever, s *retrieve.Search, text, image string, k, candidates int) ([]rank.Found, error) {
	if image == "" {
		return s.Text(ctx, text, k, candidates)
	}
	im, err := r.Picture(image)
	if err != nil {
		return nil, err
	}
	return s.Image(ctx, im, k)
}

func (a *app) printFound(s *retrieve.Search, hits []rank.Found, byText bool) error {
	gone := 0
	var fits []run.Matched
	for i, h := range hits {
		var said run.Matched
		line := answer.Found{Rank: i + 1, Image: h.ID, Path: s.Path(h.ID), Similarity: h.Similarity}
		score := h.Similarity
		if h.Ranked {
			score, line.Match = h.Match, &h.Match
		}
		if byText {
			said = s.Says(h)
			fits, line.Fit = append(fits, said), answer.FitOf(said)
		}
		shown := h.ID
		if line.Path != "" {
			shown = shownPath(line.Path)
			if _, err := os.Stat(line.Path); err != nil {
				gone++
			}
		}
		var err error
		if a.json {
			line.Path = picture.ID(line.Path)
			err = a.printJSON(line)
		} else {
			_, err = printable.Fprintf(a.stdout, "%d\t%.4f"+field(said)+"\t%s\n", i+1, score, printable.String(shown))
		}
		if err != nil {
			return err
		}
	}
	a.sayNothingFits(fits)
	if gone > 0 {
		a.log.Warn(fmt.Sprintf("%d of %d pictures are not where they were indexed; bring the index up to date with 'unimo index'", gone, len(hits)))
	}
	return nil
}

// shownPath returns a path as people like to read it: relative to the working folder if it lies
// in it, else absolute.
func shownPath(path string) string {
	working, err := os.Getwd()
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(working); err == nil {
		working = real
	}
	if rel, err := filepath.Rel(working, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
