package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/embed"
)

// embedded is what "unimo embed --out FILE --json" prints.
type embedded struct {
	Out string `json:"out"`
	IDs string `json:"ids,omitempty"` // the file that says what the vectors are of
	embed.Info
	Vectors          int     `json:"vectors"`
	Truncated        int     `json:"truncated,omitempty"` // texts that were cut
	Seconds          float64 `json:"seconds"`
	VectorsPerSecond float64 `json:"vectors_per_second"`
}

// embedFlags are the flags of "unimo embed".
type embedFlags struct {
	model, texts, out string
	pictures          []string
	options           embed.Options
	normalize, skip   bool
	pixels            int
}

func (a *app) embedCommand() *cobra.Command {
	var f embedFlags
	c := &cobra.Command{
		Use:   "embed --model DIR [TEXT... | -]",
		Short: "Make vectors of texts and pictures",
		Long: `Make a vector of each text: those of the command line, with '-' the lines of standard
input, or those of a file (--texts); and of each picture (--pictures).

DIR is a folder of sentence-transformers, which says how its vectors are made (pooling, dense
layers, length 1, longest text, prompts); a BERT or its kin of Hugging Face's transformers, as
'unimo convert' reads them; or a model of this program. A model for retrieval has vectors of its own, of texts and of pictures,
that are compared with each other. Of others the tokens' last layer is pooled:

  cls                   the first token
  mean                  the mean of all tokens (default, where the folder says nothing)
  max                   the largest value of each column
  pooled                the first token through the checkpoint's pooler
  mean_sqrt_len_tokens  the sum of all tokens divided by the root of their number
  weightedmean          the mean with weights 1, 2, 3, ...
  lasttoken             the last token

Pictures without --model, with --extractor MODEL, get the network's pooled output.

Vectors are printed as JSON lines: text or image, and vector. With --out they are written to a
file, whole or not at all: .jsonl, .npy (NumPy), or .safetensors (the tensor vectors). Beside
the last two, FILE.ids.jsonl says in its line N what row N is of.`,
		Example: `  unimo embed --model all-MiniLM-L6-v2 "a dog runs" "two men play chess"
  unimo embed --model all-MiniLM-L6-v2 --texts lines.txt --out vectors.npy
  unimo embed --model RUN/best --pictures PHOTOS --out photos.safetensors
  unimo embed --extractor dinov2-base --pictures PHOTOS --out photos.npy
  unimo embed --model bert-base-uncased --pooling cls --normalize - < lines.txt`,
		Args: func(c *cobra.Command, args []string) error {
			sees := c.Flags().Lookup(extractorName).Value.String() != ""
			switch {
			case f.model == "" && !sees:
				return usagef("embed needs --model, or for pictures alone --extractor%s", seeHelp(c))
			case f.model == "" && (len(args) > 0 || f.texts != ""):
				return usagef("%w", embed.ErrNoTexts)
			case len(args) == 0 && f.texts == "" && len(f.pictures) == 0:
				return usagef("give texts, '-' to read lines of standard input, --texts FILE, or --pictures PATH%s", seeHelp(c))
			case len(args) > 1 && slices.Contains(args, "-"):
				return usagef("'-' reads standard input and goes with no other text")
			case f.out != "" && !embed.Known(f.out):
				return usagef("--out %q names no format; end it with %s", f.out, embed.Endings)
			}
			for _, arg := range args {
				if _, err := os.Stat(arg); err == nil && picture.IsPicture(arg) {
					return usagef("%s is a picture; name pictures with --pictures", arg)
				}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("normalize") {
				f.options.Normalize = &f.normalize
			}
			return a.embed(c, f, args)
		},
	}
	modelFlag(c, &f.model)
	optional(c.Flags().Lookup("model")) // an extractor does without
	pixelsFlag(c, &f.pixels)
	extractorFlag(c)
	flags := c.Flags()
	flags.StringVar(&f.texts, "texts", "", "`FILE` of texts, one a line")
	flags.StringArrayVar(&f.pictures, "pictures", nil, "picture, or folder of pictures; may be repeated")
	flags.StringVarP(&f.out, "out", "o", "", "new `FILE` to write: .jsonl, .npy or .safetensors")
	flags.StringVar(&f.options.Pooling, "pooling", "", "what is made of a text's tokens (default: what DIR says, or mean)")
	flags.BoolVar(&f.normalize, "normalize", false, "vectors of length 1 (=false: as they are; default: what DIR says)")
	flags.StringVar(&f.options.Prompt, "prompt", "", "`NAME` of a prompt of DIR to put before every text (default: its own)")
	flags.BoolVar(&f.skip, "skip-bad", false, "leave out pictures that cannot be read, and say so")
	return c
}

func (a *app) embed(c *cobra.Command, f embedFlags, args []string) error {
	ctx := c.Context()
	if absent(f.texts) {
		return notThere(f.texts, "check the path")
	}
	if f.out != "" {
		for _, path := range []string{f.out, embed.IDsFile(f.out)} {
			if path == "" {
				continue
			}
			if _, err := newPath(path); err != nil {
				return err
			}
		}
	}
	e, err := embed.Open(f.model, f.options, a.env())
	if err != nil {
		return asUsage(err)
	}
	defer e.Close()
	if f.pixels > 0 {
		e.Limit(f.pixels)
	}
	if len(f.pictures) > 0 && !e.Reads() {
		return usagef("%s: %w", e.Model, embed.ErrNoPictures)
	}
	a.warnOfFiles(c, args)
	w := vectorWriter{app: a, e: e, skip: f.skip, add: func(item embed.Item, vector []float32) error {
		return a.printJSON(embed.Line{Item: item, Vector: vector})
	}}
	if f.out == "" {
		defer w.tell()
		return w.all(ctx, f, args)
	}
	w.progress = a.newProgress()
	defer w.progress.finish()
	w.progress.Stage("vectors")
	begin := time.Now()
	err = embed.Write(f.out, e.Info, func(add embed.Add) error {
		w.add = add
		return w.all(ctx, f, args)
	})
	w.progress.finish()
	if err != nil {
		return err
	}
	w.tell()
	r := embedded{Out: f.out, IDs: embed.IDsFile(f.out), Info: e.Info, Vectors: w.done, Truncated: w.cut, Seconds: time.Since(begin).Seconds()}
	r.VectorsPerSecond = float64(r.Vectors) / max(r.Seconds, 1e-9)
	if a.json {
		return a.printJSON(r)
	}
	_, err = printable.Fprintf(a.stdout, "%s: %d vectors of %d values; %.1f s, %.0f vectors/s\n", r.Out, r.Vectors, r.Size, r.Seconds, r.VectorsPerSecond)
	return err
}

// vectorWriter makes vectors of whatever is named, in its order.
type vectorWriter struct {
	*app
	e        *embed.Embedder
	add      embed.Add
	progress *progress // nil: none is shown
	skip     bool
	total    int // -1: not known
	texts    int // of them that were done
	cut      int // of them that were longer than what the model reads
	done     int // texts and pictures
}

// tell says how many texts were cut.
func (w *vectorWriter) tell() {
	if w.cut > 0 {
		w.log.Warn(fmt.Sprintf("%d of %d texts are longer than the %d tokens that the model reads and were cut", w.cut, w.texts, w.e.MaxTokens))
	}
}

// Texts are read and their vectors made so many at a time, the longest first: the more, the more alike they are in a batch.
const (
	embedTexts  = 4096
	embedBuffer = 1 << 20
)

func (w *vectorWriter) all(ctx context.Context, f embedFlags, args []string) error {
	names, err := pictureFiles(f.pictures)
	if err != nil {
		return err
	}
	w.total = len(args) + len(names)
	if slices.Equal(args, []string{"-"}) || f.texts != "" {
		w.total = -1
	}
	if slices.Equal(args, []string{"-"}) {
		err = w.lines(ctx, w.input(ctx), standardInput)
	} else if len(args) > 0 {
		err = w.some(ctx, args)
	}
	if err == nil && f.texts != "" {
		err = w.file(ctx, f.texts)
	}
	if err != nil {
		return err
	}
	for part := range slices.Chunk(names, captionChunk) {
		if err := w.pictures(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (w *vectorWriter) file(ctx context.Context, path string) error {
	in, err := infile.OpenText(ctx, path)
	if err != nil {
		return err
	}
	defer in.Close()
	return w.lines(ctx, in, path)
}

// lines makes vectors of the lines of a file of any length.
func (w *vectorWriter) lines(ctx context.Context, r io.Reader, name string) error {
	in := bufio.NewReaderSize(r, embedBuffer)
	for first := 1; ; {
		texts, err := readLines(in, name, embedTexts, first)
		if err != nil || len(texts) == 0 {
			return err
		}
		if err := w.some(ctx, texts); err != nil {
			return err
		}
		first += len(texts)
	}
}

// some makes vectors of texts that are in memory.
func (w *vectorWriter) some(ctx context.Context, texts []string) error {
	vectors, err := w.e.Texts(ctx, texts, w.tick)
	if err != nil {
		return err
	}
	w.done, w.texts = w.done+len(texts), w.texts+len(texts)
	for i, v := range vectors {
		if v.Truncated {
			w.cut++
		}
		if err := w.add(embed.Item{Text: &texts[i], Truncated: v.Truncated}, v.Values); err != nil {
			return err
		}
	}
	return nil
}

// pictures makes vectors of pictures, as many as are in memory at once.
func (w *vectorWriter) pictures(ctx context.Context, names []string) error {
	names, images, err := w.readPictures(w.e.Threads(), names, w.skip, w.e.Picture)
	if err != nil || len(images) == 0 {
		return err
	}
	vectors, err := w.e.Pictures(ctx, images, w.tick)
	if err != nil {
		return err
	}
	w.done += len(names)
	for i, v := range vectors {
		if err := w.add(embed.Item{Image: picture.ID(names[i])}, v.Values); err != nil {
			return err
		}
	}
	return nil
}

// tick shows how far the work has come, and its speed.
func (w *vectorWriter) tick(done, _ int) {
	if w.progress != nil {
		w.progress.Tick(w.done+done, w.total)
	}
}
