package captions

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// PrepareOptions are the ways to prepare a folder.
type PrepareOptions struct {
	Fraction float64 // of the training images, to hold out as dev; 0: none
	Seed     uint64  // of what is held out
	Images   string  // the folder of the pictures; "": they are looked for in the source's
	// Problem is told of everything that is left out.
	Problem func(error)
	// Stage, unless nil, is told what begins and how much it is (-1: unknown), Tick how far it has come.
	Stage func(what string, total int)
	Tick  func(done int)
}

// Prepared says what became of a source.
type Prepared struct {
	Form     string          `json:"form"`            // in words
	Files    []string        `json:"files,omitempty"` // that the captions were read from
	Lists    []string        `json:"lists,omitempty"`
	Out      string          `json:"out"`
	Splits   []PreparedSplit `json:"splits"`
	Pictures int             `json:"pictures"` // 0: none were found, and images/ is not there
	// What was left out.
	Bad      int `json:"bad"`      // captions and listings with something wrong
	Missing  int `json:"missing"`  // images without picture though others have one
	Unlisted int `json:"unlisted"` // images on no list though there are lists
	// InvalidUTF8 are captions that were kept with characters that are lost.
	InvalidUTF8 int `json:"invalid_utf8,omitempty"`
}

// PreparedSplit is a split of the new folder.
type PreparedSplit struct {
	Split    string `json:"split"`
	Images   int    `json:"images"`
	Captions int    `json:"captions"`
}

// Prepare reads captions in one of the forms of docs/reference/images.md, which src is or which lie in it,
// and writes the new folder dst, whole or not at all. Pictures are given a second name in
// dst/images (a hard link), or copied where that cannot be.
//
// An image is of one split. Where the source says nothing about splits, all images are of train.
func Prepare(ctx context.Context, src, dst string, opt PrepareOptions) (Prepared, error) {
	p := preparation{ctx: ctx, opt: opt, out: Prepared{Out: dst}}
	if _, err := os.Lstat(dst); err == nil {
		return p.out, fmt.Errorf("%s exists; choose a new folder or remove it", dst)
	}
	if opt.Fraction != 0 && !(opt.Fraction > 0 && opt.Fraction < 1) {
		return p.out, fmt.Errorf("the fraction to hold out is %v; give a number between 0 and 1", opt.Fraction)
	}
	if err := p.read(src); err != nil {
		return p.out, err
	}
	if err := p.holdOut(); err != nil {
		return p.out, err
	}
	var failed error // of the context, which is not about writing
	err := atomicfile.WriteDir(dst, func(tmp string) error {
		err := p.write(tmp)
		failed = ctx.Err()
		return err
	})
	return p.out, cmp.Or(failed, err)
}

// preparation is the state of preparing a folder.
type preparation struct {
	ctx    context.Context
	opt    PrepareOptions
	out    Prepared
	all    *collection
	places map[string]string // by image: its picture
}

func (p *preparation) stage(what string, total int) {
	if p.opt.Stage != nil {
		p.opt.Stage(what, total)
	}
}

// tickEvery is how many steps go by without a sign of life.
const tickEvery = 256

func (p *preparation) tick(n int) error {
	if n%tickEvery != 0 {
		return nil
	}
	if p.opt.Tick != nil {
		p.opt.Tick(n)
	}
	return p.ctx.Err()
}

func (p *preparation) bad(err error) error {
	p.out.Bad++
	if p.opt.Problem != nil {
		p.opt.Problem(err)
	}
	return p.ctx.Err()
}

// read reads captions and lists, and finds the pictures.
func (p *preparation) read(src string) error {
	from, err := findSource(src)
	if err != nil {
		return err
	}
	p.stage("looking for pictures", -1)
	found, err := findPictures(cmp.Or(p.opt.Images, from.dir))
	if err != nil {
		return err
	}
	p.stage("reading captions", -1)
	p.out.Files = from.files
	if p.all, err = from.collect(found, p.bad, p.tick); err != nil {
		return err
	}
	p.out.Form = p.all.form
	if err := p.lists(from, found); err != nil {
		return err
	}
	other := map[string]string{}
	if from.form == formIDs {
		other, err = readNameTable(filepath.Join(from.dir, "dataset_flickr30k_name_id.txt"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	p.locate(found, other)
	if len(p.all.order) == 0 {
		return &textfile.FileError{File: src, Problem: "has no captions that can be used", Remedy: acceptedSources}
	}
	return nil
}

// lists applies the lists of images that lie beside captions which have no splits.
func (p *preparation) lists(from source, found *pictures) error {
	for _, split := range p.all.split {
		if split != "" {
			return nil
		}
	}
	lists, err := from.findLists(found)
	if err != nil {
		return err
	}
	if len(lists) > 0 {
		before := len(p.all.order)
		if err := p.all.applyLists(lists, p.bad); err != nil {
			return err
		}
		if len(p.all.order) == 0 {
			return &textfile.FileError{File: from.dir, Problem: "the lists of images (" + strings.Join(listPaths(lists), ", ") + ") have no image with a caption", Remedy: "remove the lists, or correct their names"}
		}
		p.out.Lists, p.out.Unlisted = listPaths(lists), before-len(p.all.order)
		return nil
	}
	p.all.splitByFolder()
	return nil
}

func listPaths(lists map[string]string) (paths []string) {
	for _, split := range splitNames {
		if lists[split] != "" {
			paths = append(paths, lists[split])
		}
	}
	return paths
}

// locate finds the picture of every image and leaves out images without, if others have
// one. Images get their picture's name where their own is no file's.
func (p *preparation) locate(found *pictures, other map[string]string) {
	p.places = map[string]string{}
	name := map[string]string{} // of the images that stay, by what captions call them
	var missing []string
	at := map[string]string{}   // the picture of an image
	of := map[string][]string{} // and the images of a picture
	for _, image := range p.all.order {
		if picture := found.find(image, other); picture != "" {
			at[image] = picture
			of[picture] = append(of[picture], image)
		}
	}
	for _, image := range p.all.order {
		at := at[image]
		// Of several images with one picture it is that of the one that is called so, or of none.
		if at == "" || len(of[at]) > 1 && at != image && at != path.Join("images", image) {
			missing = append(missing, image)
			continue
		}
		name[image] = strings.TrimPrefix(image, "images/")
		if path.Ext(at) != path.Ext(image) {
			name[image] = path.Join(path.Dir(name[image]), path.Base(at))
		}
		p.places[name[image]] = found.path[at]
	}
	p.out.Pictures = len(p.places)
	if len(p.places) == 0 {
		for _, image := range missing {
			name[image] = image // their features are elsewhere
		}
		if n := len(found.names); n > 0 && len(missing) > 0 && p.opt.Problem != nil {
			p.opt.Problem(fmt.Errorf("all %d pictures: none is called what the captions call it, such as %s, in one place only", n, textfile.Quote(missing[0])))
		}
	} else if p.out.Missing = len(missing); p.opt.Problem != nil {
		for _, image := range missing {
			p.opt.Problem(fmt.Errorf("image %s: there is no picture that is of it alone; its captions are left out", textfile.Quote(image)))
		}
	}
	old := *p.all
	p.all = &collection{split: map[string]string{}}
	for _, image := range old.order {
		if to := name[image]; to != "" && p.all.split[to] == "" {
			p.all.split[to] = cmp.Or(old.split[image], splitNames[0])
			p.all.order = append(p.all.order, to)
		}
	}
	for _, r := range old.rows {
		if r.image = name[r.image]; r.image != "" {
			p.all.rows = append(p.all.rows, r)
		}
	}
}

// holdOut makes a fraction of the training images dev.
func (p *preparation) holdOut() error {
	if p.opt.Fraction == 0 {
		return nil
	}
	var train []string
	for _, image := range p.all.order {
		switch p.all.split[image] {
		case "train":
			train = append(train, image)
		case "dev":
			return errors.New("the source has a dev split already; leave --split out")
		}
	}
	if len(train) < 2 {
		return fmt.Errorf("there are %d images to train on; holding some out needs two", len(train))
	}
	n := min(max(1, int(p.opt.Fraction*float64(len(train))+0.5)), len(train)-1)
	for _, i := range random.New(p.opt.Seed, "held out").Perm(len(train))[:n] {
		p.all.split[train[i]] = "dev"
	}
	return nil
}

// write writes the folder.
func (p *preparation) write(dir string) error {
	counts := map[string]*PreparedSplit{}
	for _, split := range splitNames {
		var images []string
		for _, image := range p.all.order {
			if p.all.split[image] == split {
				images = append(images, image)
			}
		}
		if len(images) == 0 {
			continue
		}
		counts[split] = &PreparedSplit{Split: split, Images: len(images)}
		if err := atomicfile.WriteBytes(listFile(dir, split), []byte(strings.Join(images, "\n")+"\n")); err != nil {
			return err
		}
	}
	rows := p.all.rows
	for i := range rows {
		counts[p.all.split[rows[i].image]].Captions++
		if strings.ContainsRune(rows[i].text, utf8.RuneError) { // also what JSON made of it
			p.out.InvalidUTF8++
		}
	}
	for _, split := range splitNames {
		if counts[split] != nil {
			p.out.Splits = append(p.out.Splits, *counts[split])
		}
	}
	if err := writeCaptions(dir, rows); err != nil {
		return err
	}
	if len(p.places) == 0 {
		return nil
	}
	p.stage("placing pictures", len(p.places))
	for i, image := range p.all.order {
		if err := place(p.places[image], filepath.Join(ImageDir(dir), filepath.FromSlash(image))); err != nil {
			return err
		}
		if err := p.tick(i); err != nil {
			return err
		}
	}
	return nil
}

// writeCaptions writes captions.csv or, of rows with tokens, captions.jsonl.
func writeCaptions(dir string, rows []row) error {
	if slices.ContainsFunc(rows, func(r row) bool { return r.tokens != nil }) {
		return atomicfile.Write(filepath.Join(dir, "captions.jsonl"), func(w io.Writer) error {
			enc := json.NewEncoder(w)
			enc.SetEscapeHTML(false)
			for _, r := range rows {
				if err := enc.Encode(jsonRow{r.image, r.text, r.tokens, r.id}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	ids := slices.ContainsFunc(rows, func(r row) bool { return r.id != "" })
	return atomicfile.Write(filepath.Join(dir, "captions.csv"), func(w io.Writer) error {
		table := csv.NewWriter(w)
		write := func(image, caption, id string) {
			fields := []string{image, caption, id}
			if !ids {
				fields = fields[:2]
			}
			table.Write(fields) // Flush's error is that of the first Write that failed
		}
		write("image", "caption", "id")
		for _, r := range rows {
			write(r.image, r.text, r.id)
		}
		table.Flush()
		return table.Error()
	})
}
