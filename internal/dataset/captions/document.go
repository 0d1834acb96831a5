package captions

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// maxDocument bounds a JSON document in bytes; the largest official one, Karpathy's of COCO, has 144 MB.
const maxDocument = 1 << 30

// maxImageCaptions bounds the captions of an image in JSON.
const maxImageCaptions = 10000

// acceptedDocuments is the remedy for a JSON document of no known form.
const acceptedDocuments = `read are Karpathy's dataset_*.json ("images" with "filename" and "sentences"), COCO's captions_*.json ("images" with "id" and "file_name", "annotations" with ` +
	`"image_id" and "caption"), a list of objects with "image" and "caption" (a text or a list), and an object of names of pictures and their captions`

// document reads captions from one JSON value, item by item, and finds out its form.
type document struct {
	path   string
	each   func(row) error
	budget budget
	dec    *json.Decoder
	form   string // in words; "" until something was found
	n      int    // items read

	// Of COCO's form: the names of images by id, and the captions that came before them.
	names   map[string]string
	waiting []row // image is the id
	keys    []string

	bare string // an image without captions, of a list
	odd  []odd  // items before the first that is known
}

// odd is an item that is nothing that is known.
type odd struct{ list, where, what string }

// maxOdd bounds the items that are nothing before the first that is known.
const maxOdd = 100

// readDocument reads Karpathy's JSON, COCO's, lists of images and captions, and names with captions.
func readDocument(in io.Reader, path string, each func(row) error) error {
	_, err := readDocumentForm(in, path, each)
	return err
}

// readDocumentForm is readDocument and says of which form it is.
func readDocumentForm(in io.Reader, path string, each func(row) error) (form string, err error) {
	d := document{path: path, each: each, names: map[string]string{}, budget: budget{r: infile.Text(in, path), path: path}}
	d.dec = json.NewDecoder(&d.budget)
	d.budget.renew()
	err = d.read()
	return d.form, err
}

// maxItem bounds an item of a document in bytes: an image with all its captions.
const maxItem = 64 << 20

// budget ends the reading of a document whose items are too long to be held.
type budget struct {
	r    io.Reader
	path string
	left int
}

func (b *budget) renew() { b.left = maxItem }

// Read implements [io.Reader].
func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &textfile.FileError{File: b.path, Problem: fmt.Sprintf("has an item of more than %d MiB", maxItem>>20), Remedy: acceptedDocuments}
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// broken says that the file is not JSON, or that reading it failed.
func (d *document) broken(err error) error {
	var known *textfile.FileError
	if errors.As(err, &known) {
		return err
	}
	problem, _ := infile.ExplainJSON(err)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		problem = "it ends within a value"
	}
	return &textfile.FileError{File: d.path, Problem: fmt.Sprintf("is not valid as JSON after %d items: %s", d.n, problem), Remedy: "fetch it again", Err: err}
}

// unknown says that the file is JSON of another form.
func (d *document) unknown(format string, args ...any) error {
	return &textfile.FileError{File: d.path, Problem: "is JSON of a form that is not read: " + fmt.Sprintf(format, args...), Remedy: acceptedDocuments}
}

func (d *document) read() error {
	token, err := d.dec.Token()
	switch {
	case err != nil:
		return d.broken(err)
	case token == json.Delim('['):
		err = d.list("")
	case token == json.Delim('{'):
		err = d.object()
	default:
		err = d.unknown("one value, neither a list nor an object")
	}
	if err != nil {
		return err
	}
	if _, err := d.dec.Token(); err == nil {
		return d.unknown("several values, one after the other; name JSON lines NAME.jsonl")
	} else if !errors.Is(err, io.EOF) {
		return d.broken(err)
	}
	return d.finish()
}

// object reads the object that the document is.
func (d *document) object() error {
	for d.dec.More() {
		token, err := d.dec.Token()
		if err != nil {
			return d.broken(err)
		}
		key := token.(string) // as keys are
		if len(d.keys) < 20 {
			d.keys = append(d.keys, textfile.Quote(key))
		}
		switch {
		case key == "images" || key == "annotations" || key == "data":
			token, err := d.dec.Token()
			if err != nil {
				return d.broken(err)
			}
			if token != json.Delim('[') {
				return d.unknown("%q is no list", key)
			}
			err = d.list(key)
			if err != nil {
				return err
			}
		case picture.IsPicture(key):
			if err := d.named(key); err != nil {
				return err
			}
		default:
			if err := infile.SkipJSON(d.dec, d.budget.renew); err != nil {
				return d.broken(err)
			}
		}
	}
	_, err := d.dec.Token()
	if err != nil {
		return d.broken(err)
	}
	return nil
}

// named reads the captions under the name of their picture.
func (d *document) named(name string) error {
	d.budget.renew()
	var raw json.RawMessage
	if err := d.dec.Decode(&raw); err != nil {
		return d.broken(err)
	}
	d.n++
	d.form = "a JSON object of names and captions"
	quoted, _ := json.Marshal(name)
	return d.rows(columns.Object{"image": quoted, "caption": raw}, fmt.Sprintf("image %s", textfile.Quote(name)))
}

// rows yields the captions of an object; where names it in messages.
func (d *document) rows(o columns.Object, where string) error {
	return rows(o, row{}, func(r row) error { return d.yield(r, where) })
}

func (d *document) yield(r row, where string) error {
	if r.problem != "" {
		r.problem = where + ": " + r.problem
	}
	return d.each(r)
}

// list reads the items of a list, whose key is "" if it is all the document has.
func (d *document) list(key string) error {
	of := "a list"
	if key != "" {
		of = fmt.Sprintf("%q is a list", key)
	}
	for i := 1; d.dec.More(); i++ {
		d.budget.renew()
		var raw json.RawMessage
		if err := d.dec.Decode(&raw); err != nil {
			return d.broken(err)
		}
		d.n++
		where := strings.TrimSpace(strings.TrimSuffix(key, "s") + " " + strconv.Itoa(i))
		if key == "" || key == "data" {
			where = fmt.Sprintf("item %d", i)
		}
		o, problem := columns.ParseObject(raw)
		known, what := false, infile.JSONKind(raw)+", no object"
		if problem == "" {
			var err error
			if known, err = d.item(o, key, where); err != nil {
				return err
			}
			what = o.String() + ", which has no image with a caption"
		}
		if !known {
			d.odd = append(d.odd, odd{of, where, what})
		}
		if len(d.odd) > 0 && (d.form != "" || len(d.odd) > maxOdd) {
			if err := d.leaveOut(); err != nil {
				return err
			}
		}
	}
	_, err := d.dec.Token()
	if err != nil {
		return d.broken(err)
	}
	return nil
}

// leaveOut yields the odd items as problems, or refuses the document if it has nothing else.
func (d *document) leaveOut() error {
	if d.form == "" {
		return d.unknown("%s, and its %s is %s", d.odd[0].list, d.odd[0].where, d.odd[0].what)
	}
	for _, o := range d.odd {
		if err := d.yield(row{problem: "is " + o.what}, o.where); err != nil {
			return err
		}
	}
	d.odd = nil
	return nil
}

// item takes an object of a list. It returns false if it is nothing that is known.
func (d *document) item(o columns.Object, key, where string) (known bool, err error) {
	if d.form == formKarpathyWords || ofObjects(o["sentences"]) {
		d.form = formKarpathyWords
		return true, d.karpathy(o, where)
	}
	image, err := o.Key(columns.Image)
	caption, err2 := o.Key(columns.Caption)
	if err = cmp.Or(err, err2); err != nil {
		return false, d.unknown("%s: %v", where, err)
	}
	switch {
	case key == "annotations" && o["image_id"] != nil && image == "":
		if caption == "" {
			return false, nil // COCO's instances, or the like
		}
		return true, d.annotation(o, caption, where)
	case (image != "" || o["image_id"] != nil) && caption != "":
		d.form = cmp.Or(d.form, "a JSON list of images and captions")
		return true, d.rows(o, where)
	case image != "" && key == "images" && o["id"] != nil:
		name, problem := o.Text(image)
		id, _ := o.Text("id")
		if other, twice := d.names[id]; twice && other != name {
			name = "" // nobody can tell
		}
		if problem == "" && id != "" {
			d.names[id] = name
		}
		return true, nil // a caption of it says what is wrong
	case image != "":
		d.bare = cmp.Or(d.bare, o.String())
		return true, d.rows(o, where) // which says that there is no caption
	}
	return false, nil
}

// ofObjects says whether a value is a list whose first item is an object.
func ofObjects(raw json.RawMessage) bool {
	rest, list := strings.CutPrefix(string(raw[:min(len(raw), 100)]), "[")
	return list && strings.HasPrefix(strings.TrimSpace(rest), "{")
}

const (
	formKarpathyWords = "Karpathy's JSON"
	formCOCOWords     = "COCO's JSON"
)

// annotation takes a caption of COCO's, whose image may come later.
func (d *document) annotation(o columns.Object, caption, where string) error {
	d.form = formCOCOWords
	r := row{}
	var wrong [2]string
	r.image, wrong[0] = o.Text("image_id")
	r.id, wrong[1] = o.Text("id")
	texts, problem := o.Texts(caption)
	if problem := cmp.Or(wrong[0], wrong[1], problem); problem != "" || len(texts) != 1 {
		return d.yield(row{problem: cmp.Or(problem, fmt.Sprintf("%q is no text", caption))}, where)
	}
	r.text, r.problem = texts[0], where
	if _, ok := d.names[r.image]; !ok {
		d.waiting = append(d.waiting, r)
		return nil
	}
	return d.annotated(r)
}

// annotated yields a caption of COCO's, of which image is the id and problem the place.
func (d *document) annotated(r row) error {
	name, ok := d.names[r.image]
	where := r.problem
	if r.problem = ""; !ok {
		r.problem = fmt.Sprintf("image %s is not among the \"images\"", textfile.Quote(r.image))
		r.image = ""
	} else if name == "" {
		r.problem = fmt.Sprintf("image %s has no name in \"images\", or two", textfile.Quote(r.image))
		r.image = ""
	} else {
		r.image = name
		r.check()
	}
	return d.yield(r, where)
}

// finish yields what waited, and judges the document as a whole.
func (d *document) finish() error {
	if len(d.names) == 0 && len(d.waiting) > 0 {
		d.form = ""
	} else {
		for _, r := range d.waiting {
			if err := d.annotated(r); err != nil {
				return err
			}
		}
	}
	if len(d.odd) > 0 {
		if err := d.leaveOut(); err != nil {
			return err
		}
	}
	switch {
	case d.form != "":
		return nil
	case len(d.names) > 0:
		return d.unknown("\"images\" without captions: no \"sentences\" in them, and no \"annotations\" with \"image_id\" and \"caption\"")
	case len(d.waiting) > 0:
		return d.unknown("\"annotations\" without the \"images\" that they are of")
	case d.bare != "":
		return d.unknown("a list of images without captions, and in it %s", d.bare)
	case len(d.keys) > 0:
		return d.unknown("an object with the keys %s", strings.Join(d.keys, ", "))
	}
	return d.unknown("it is empty")
}

// sentence is an item of "sentences" in Karpathy's JSON.
type sentence struct {
	Tokens []string     `json:"tokens"`
	Raw    string       `json:"raw"`
	ID     columns.Name `json:"sentid"`
}

// sentencesOf reads at most one more than an image may have.
func sentencesOf(raw json.RawMessage) (list []sentence, problem string) {
	if len(raw) > 0 && raw[0] != '[' {
		return nil, `"sentences" is ` + infile.JSONKind(raw) + ", want a list"
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.Token() // the bracket
	for len(list) <= maxImageCaptions && dec.More() {
		var s sentence
		if err := dec.Decode(&s); err != nil {
			problem, _ = infile.ExplainJSON(err)
			return nil, `"sentences": ` + problem
		}
		list = append(list, s)
	}
	return list, ""
}

// karpathy takes an image of Karpathy's JSON.
func (d *document) karpathy(o columns.Object, where string) error {
	var image, split string
	var wrong [2]string
	image, wrong[0] = o.Text("filename")
	split, wrong[1] = o.Text("split")
	sentences, problem := sentencesOf(o["sentences"])
	problem = cmp.Or(wrong[0], wrong[1], problem)
	switch count := len(sentences); {
	case problem != "":
	case count == 0:
		problem = fmt.Sprintf(`(%s) has no "sentences"`, textfile.Quote(image))
	case count > maxImageCaptions:
		problem = fmt.Sprintf("(%s) has more than %d sentences", textfile.Quote(image), maxImageCaptions)
	}
	if problem != "" {
		return d.yield(row{problem: problem}, where)
	}
	for _, s := range sentences {
		r := row{image: image, text: s.Raw, split: split, id: string(s.ID)}
		if trim(r.text) == "" {
			r.text = strings.Join(s.Tokens, " ")
		}
		r.check()
		if err := d.yield(r, where); err != nil {
			return err
		}
	}
	return nil
}
