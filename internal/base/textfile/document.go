package textfile

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// Item is a value of a JSON document.
type Item struct {
	Key    string // of the object that the document is; "" of a list
	Raw    json.RawMessage
	Number int // within the list, from 1; 0 for what is no item of a list
	Line   int // where it ends, from 1; of a document on one line that says little
}

// String names the item in messages.
func (i Item) String() string {
	switch name := strings.TrimSuffix(i.Key, "s"); {
	case i.Number == 0:
		return Quote(i.Key)
	case name == "":
		return fmt.Sprintf("item %d", i.Number)
	default:
		return fmt.Sprintf("%s %d", name, i.Number)
	}
}

// EachItem reads a JSON document item by item, each within MaxLine: the items of the list that it is; of an object the items of
// the lists that list names, and the other values whole. Errors are [*FileError], or each's.
func EachItem(in io.Reader, file string, list func(key string) bool, each func(Item) error) error {
	counting := &countingReader{r: infile.Text(in, file), file: file, left: MaxLine}
	d := documentReader{Objects{file: file, list: json.NewDecoder(counting), in: counting}, each}
	token, err := d.list.Token()
	switch {
	case err != nil:
		return d.explain(err)
	case token == json.Delim('['):
		err = d.items("")
	case token == json.Delim('{'):
		err = d.object(list)
	default:
		return &FileError{File: file, Problem: "is one JSON value, neither a list nor an object", Remedy: "check that it is the file that was meant"}
	}
	if err != nil {
		return err
	}
	if _, err := d.list.Token(); err != io.EOF {
		return &FileError{File: file, Line: d.line(), Problem: "something follows after the JSON value", Remedy: "remove it; JSON lines are named NAME.jsonl"}
	}
	return nil
}

// documentReader is what EachItem reads with.
type documentReader struct {
	Objects
	each func(Item) error
}

func (d *documentReader) line() int { return d.in.line(d.list.InputOffset()) }

func (d *documentReader) object(list func(key string) bool) error {
	for d.list.More() {
		d.in.left = MaxLine
		token, err := d.list.Token()
		if err != nil {
			return d.explain(err)
		}
		key := token.(string) // as keys are
		if !list(key) {
			err = d.value(Item{Key: key})
		} else if token, err = d.list.Token(); err != nil {
			err = d.explain(err)
		} else if token != json.Delim('[') {
			err = &FileError{File: d.file, Line: d.line(), Problem: fmt.Sprintf("%q is no list", key), Remedy: "correct it"}
		} else {
			err = d.items(key)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.list.Token()
	return d.explain(err)
}

func (d *documentReader) items(key string) error {
	for i := 1; d.list.More(); i++ {
		if err := d.value(Item{Key: key, Number: i}); err != nil {
			return err
		}
	}
	_, err := d.list.Token()
	return d.explain(err)
}

func (d *documentReader) value(i Item) error {
	d.in.left = MaxLine
	if err := d.list.Decode(&i.Raw); err != nil {
		return d.explain(err)
	}
	i.Line = d.line()
	return d.each(i)
}
