package server

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Note says beside the vectors, in the comment of a table or the like, what they are. What has none is not ours.
type Note struct {
	Model    string `json:"model"`
	Size     int    `json:"size"`
	Shard    int    `json:"shard"`
	Shards   int    `json:"shards"`
	Revision string `json:"revision"` // "" until all have come
	Vectors  int    `json:"vectors"`  // how many the revision has here
	Pictures string `json:"pictures"` // what the vectors are of, for people
}

// mark begins each note.
const mark = "made by unimo index: "

func (n Note) String() string {
	text, err := json.Marshal(n)
	if err != nil {
		panic(err) // of strings and numbers
	}
	return mark + string(text)
}

// ReadNote reads a note, if the text is one.
func ReadNote(text string) (n Note, ours bool) {
	text, ours = strings.CutPrefix(text, mark)
	return n, ours && json.Unmarshal([]byte(text), &n) == nil
}

// Prefix begins the names of all that a server has of the index.
func (p Part) Prefix() string { return "unimo_" + p.Index + "_" }

// Name is the name of what a server has of the index and its model. It needs no quotes.
func (p Part) Name() string { return p.Prefix() + p.Model[:min(16, len(p.Model))] }

// Note is that of the part with so many rows of a revision.
func (p Part) Note(revision string, vectors int) Note {
	return Note{p.Model, p.Size, p.Shard, p.Shards, revision, vectors, p.About}
}

// RevisionOf is that of what a server has, which is the part that what names and n describes; "" for that of another shard.
func (p Part) RevisionOf(what string, n Note) (string, error) {
	if n.Model != p.Model || n.Size != p.Size {
		return "", fmt.Errorf("%s has vectors of %d values of the model %.12s; want %d values of %.12s", what, n.Size, n.Model, p.Size, p.Model)
	}
	if n.Shard != p.Shard || n.Shards != p.Shards {
		return "", nil
	}
	return n.Revision, nil
}

// Literal is a vector as SQL, GraphQL and JSON have it.
func Literal(vector []float32) string {
	text := []byte{'['}
	for i, v := range vector {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendFloat(text, float64(v), 'g', -1, 32)
	}
	return string(append(text, ']'))
}

// Explain returns err on one line, with what to do about it; nil for nil.
func Explain(err error, todo string) error {
	if err == nil || todo == "" && !strings.ContainsAny(err.Error(), "\n\r") {
		return err
	}
	return &explained{strings.Join(strings.Fields(err.Error()), " "), todo, err}
}

type explained struct {
	text, todo string
	err        error
}

func (e *explained) Error() string {
	if e.todo == "" {
		return e.text
	}
	return e.text + "; " + e.todo
}

func (e *explained) Unwrap() error { return e.err }
