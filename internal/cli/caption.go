package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/tasks/captioning"
)

// captionChunk pictures are captioned together: their regions are in memory at once.
const captionChunk = 32

func (a *app) captionCommand() *cobra.Command {
	var modelDir, features string
	var tags captioning.TagSettings
	var pixels int
	var skip bool
	var flags decodeFlags
	c := &cobra.Command{
		Use:   "caption --model DIR PICTURE...",
		Short: "Write what is to be seen in pictures",
		Long: `Write a caption for each picture: a file (JPEG, PNG, GIF, WebP), all pictures in a folder and
its folders, or with '-' the files that standard input names, one a line. A line of output is the
picture and its caption, tab-separated; with --json one object a line: image, caption, score (the
log-probability, divided by the length penalty) and finished (false of a caption that was cut).

With --features PICTURE is the id of an image in region features; without one all are captioned.
A model that was trained with the names of objects is given them by --objects, or by --object-vocab
out of the classes that region features have. One whose pictures a detector sees has the detector's names.

The flags of decoding change what the model was fine-tuned for; their defaults are those of a model that
does not say.`,
		Example: `  unimo caption --model RUN/best dog.jpg
  unimo caption --model RUN/best PHOTOS --json > captions.jsonl
  unimo caption --model RUN/best --sample --top-p 0.9 --seed 7 dog.jpg
  find PHOTOS -name '*.jpg' | unimo caption --model RUN/best -`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && features == "":
				return usagef("name pictures or folders of them, or '-' to read names from standard input")
			case len(args) > 1 && slices.Contains(args, "-"):
				return usagef("'-' reads standard input and goes with no other picture")
			case tags.ObjectVocab != "" && tags.Objects == "" && features == "":
				return usagef("--object-vocab is for the classes that --features have, or for the names in --objects; add one of them")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			m, err := captioning.Open(modelDir, a.env())
			if err != nil {
				return err
			}
			defer m.Close()
			if pixels > 0 {
				m.Limits.MaxPixels = pixels
			}
			w := captionWriter{app: a, model: m, skip: skip, read: m.Picture}
			if w.options, err = flags.over(m.Decoding, m.Config); err != nil {
				return asUsage(err)
			}
			if features == "" {
				if _, err := m.Extractor(); err != nil {
					return err // no picture is at fault
				}
			}
			if w.tags, err = m.Tagger(tags, features, false); err != nil {
				return err
			}
			defer w.tell()
			switch {
			case features != "":
				return w.features(c.Context(), features, args)
			case slices.Equal(args, []string{"-"}):
				return w.input(c.Context())
			}
			return w.pictures(c.Context(), args)
		},
	}
	modelFlag(c, &modelDir)
	extractorFlag(c)
	pixelsFlag(c, &pixels)
	f := c.Flags()
	f.StringVar(&features, "features", "", "file or folder of region features, where PICTURE is an id in it")
	f.StringVar(&tags.Objects, "objects", "", "`FILE` with the names of the objects in the pictures")
	f.StringVar(&tags.ObjectVocab, "object-vocab", "", "`FILE` with the names of the classes that region features have, one a line")
	f.BoolVar(&skip, "skip-bad", false, "leave out pictures that cannot be read, and say so")
	flags.register(c)
	return c
}

// captionWriter captions pictures and prints the captions.
type captionWriter struct {
	*app
	model   *captioning.Captioner
	options decode.Options
	tags    captioning.Tagger
	read    func(name string) (*regions.Image, error)
	skip    bool
	done    int // pictures
	bare    int // those of which the file of objects says nothing
	written int
}

// tell says of how many pictures the file of objects says nothing.
func (w *captionWriter) tell() {
	for _, note := range w.tags.Notes(w.bare, w.written) {
		w.log.Warn(note)
	}
}

// features captions images of region features.
func (w *captionWriter) features(ctx context.Context, path string, ids []string) error {
	source, info, err := regions.Open(path, regions.Options{SkipBad: w.skip, Classes: w.tags.Classes()})
	if err != nil {
		return err
	}
	defer source.Close()
	if info.Bad > 0 {
		w.log.Warn(fmt.Sprintf("%d images of %s are left out: %s", info.Bad, path, info.Skipped[0]))
	}
	if len(ids) == 0 {
		ids = source.IDs()
	}
	w.read = func(name string) (*regions.Image, error) {
		im := &regions.Image{}
		return im, source.Image(name, im)
	}
	return w.all(ctx, ids)
}

// pictures captions files, and the pictures in folders.
func (w *captionWriter) pictures(ctx context.Context, paths []string) error {
	names, err := pictureFiles(paths)
	if err != nil {
		return err
	}
	return w.all(ctx, names)
}

// pictureFiles lists files, and the pictures in folders and their folders.
func pictureFiles(paths []string) ([]string, error) {
	var names []string
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			names = append(names, path) // what is not there is an error when it is read
			continue
		}
		list, err := regions.ListPictures(path)
		if err != nil {
			return nil, err
		}
		if len(list.IDs) == 0 {
			return nil, fmt.Errorf("%s has no pictures (.jpg, .png, .gif, .webp); name a folder with some", path)
		}
		for _, id := range list.IDs {
			names = append(names, filepath.Join(path, filepath.FromSlash(picture.Name(id))))
		}
	}
	return names, nil
}

// all captions pictures whose number is known.
func (w *captionWriter) all(ctx context.Context, names []string) error {
	progress := w.newProgress()
	defer progress.finish()
	for part := range slices.Chunk(names, captionChunk) {
		progress.start(len(names), "captioning")
		progress.Tick(w.done, len(names))
		if err := w.some(ctx, part, progress.finish); err != nil {
			return err
		}
	}
	return nil
}

// input captions the pictures that standard input names.
func (w *captionWriter) input(ctx context.Context) error {
	in := bufio.NewReader(w.app.input(ctx))
	for first := 1; ; {
		lines, err := readLines(in, standardInput, captionChunk, first)
		if err != nil || len(lines) == 0 {
			return err
		}
		first += len(lines)
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
		if err := w.some(ctx, lines, func() {}); err != nil {
			return err
		}
	}
}

// readPictures reads pictures several at a time. With skip those that cannot be read are left out, and said.
func (a *app) readPictures(limit parallel.Limit, names []string, skip bool, read func(name string) (*regions.Image, error)) (kept []string, good []*regions.Image, err error) {
	images, failures := make([]*regions.Image, len(names)), make([]error, len(names))
	limit.For(len(names), func(i int) { images[i], failures[i] = read(names[i]) })
	for i, err := range failures {
		switch {
		case err == nil:
			kept, good = append(kept, names[i]), append(good, images[i])
		case skip:
			a.log.Warn(fmt.Sprintf("left out: %v", err))
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil, fmt.Errorf("%w, or leave such pictures out with --skip-bad", err)
		default:
			return nil, nil, fmt.Errorf("%w; correct or remove it, or leave such pictures out with --skip-bad", err)
		}
	}
	return kept, good, nil
}

// some captions as many pictures as are in memory at once. ready is called before the first line is printed.
func (w *captionWriter) some(ctx context.Context, names []string, ready func()) error {
	kept, good, err := w.readPictures(w.model.Device.Limit(), names, w.skip, w.read)
	if err != nil {
		return err
	}
	written, err := w.model.Caption(ctx, good, w.tags, w.done, w.options, func(int, int) {})
	if err != nil {
		return err
	}
	w.done += len(names)
	w.bare, w.written = w.bare+w.tags.Lacks(kept), w.written+len(kept)
	ready()
	for i, c := range written {
		if w.json {
			err = w.printJSON(answer.Caption{Image: picture.ID(kept[i]), Caption: c.Text, Score: c.Score, Finished: c.Finished})
		} else {
			_, err = printable.Fprintf(w.stdout, "%s\t%s\n", printable.String(oneField.Replace(kept[i])), c.Text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
