package seq2seq

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// jsonLine is a line of JSON lines as it is written.
type jsonLine struct {
	ID         string   `json:"id,omitempty"`
	Source     texts    `json:"source,omitempty"`
	Turns      []string `json:"turns,omitempty"`
	Knowledge  string   `json:"knowledge,omitempty"`
	Target     *string  `json:"target,omitempty"`
	References []string `json:"references,omitempty"`
	Domain     string   `json:"domain,omitempty"`
	Group      string   `json:"group,omitempty"`
	Turn       int      `json:"turn,omitempty"`
	IDs        bool     `json:"ids,omitempty"`
}

// jsonKeys is the remedy for a line of another form.
const jsonKeys = `accepted are the keys source (a text or a list of texts) and target, or turns (a list of texts), knowledge and target; with id, references, domain, group, turn and ids where there are any; ` +
	`or what others call source and target: article and highlights, document and summary, input and output`

// texts is one text or several.
type texts []string

// MarshalJSON writes one text as a string.
func (t texts) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return marshal(t[0])
	}
	return marshal([]string(t))
}

// marshal is json.Marshal without the escapes that only HTML needs.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// objects reads JSON lines, or a list of objects.
func (r *reader) objects(in io.Reader) error {
	buffered := bufio.NewReader(infile.Text(in, r.file))
	head, _ := buffered.Peek(64) // an error comes again
	objects, err := textfile.NewObjects(buffered, r.file, bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("[")))
	if err != nil {
		return err
	}
	for {
		raw, line, err := objects.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if x, problem := r.parseLine(raw); problem != "" {
			err = r.problem(line, problem, jsonKeys)
		} else {
			x.Line = line
			if !utf8.Valid(raw) {
				r.report.InvalidUTF8++ // JSON has no such bytes: they have become U+FFFD
			}
			err = r.add(x)
		}
		if err != nil {
			return err
		}
	}
}

// objectKeys are the keys of an object that have the roles of a text-to-text example, "" for none.
type objectKeys struct {
	source, target, knowledge, id string
	problem                       string
}

// ownKeys are those of [jsonLine] that have no role.
var ownKeys = []string{"turns", "references", "domain", "group", "turn", "ids"}

// keys finds out what the keys of an object are; objects with the same ones are looked at once.
func (r *reader) keys(o columns.Object) objectKeys {
	all := o.Keys()
	signature := strings.Join(all, "\x00")
	if k, known := r.known[signature]; known {
		return k
	}
	var k objectKeys
	var used []int
	for role, key := range map[columns.Role]*string{columns.Source: &k.source, columns.Target: &k.target, columns.Knowledge: &k.knowledge, columns.ID: &k.id} {
		i, err := columns.Find(all, role)
		if err != nil {
			k.problem = err.Error()
		} else if i >= 0 {
			*key, used = all[i], append(used, i)
		}
	}
	for i, key := range all {
		if slices.Contains(ownKeys, key) {
			used = append(used, i)
		}
	}
	if len(r.known) < 1000 { // of objects that are all different none need be kept
		r.known[signature] = k
	}
	r.passOver(columns.Unused(all, used...))
	return k
}

// parseLine reads one object. The problem is "" if it is an example.
func (r *reader) parseLine(raw []byte) (x Example, problem string) {
	o, problem := columns.ParseObject(raw)
	if problem != "" {
		return x, problem
	}
	k := r.keys(o)
	if k.problem != "" {
		return x, k.problem
	}
	var targets []string
	for _, read := range []func() string{
		func() string { x.ID, problem = o.Text(k.id); return problem },
		func() string { x.Sources, problem = o.Texts(k.source); return problem },
		func() string { x.Knowledge, problem = o.Text(k.knowledge); return problem },
		func() string { targets, problem = o.Texts(k.target); return problem },
		func() string { x.References, problem = o.Texts("references"); return problem },
		func() string { x.Domain, problem = o.Text("domain"); return problem },
		func() string { x.Group, problem = o.Text("group"); return problem },
		func() string { return o.Decode("turn", &x.Turn) },
		func() string { return o.Decode("ids", &x.IDs) },
	} {
		if problem := read(); problem != "" {
			return x, problem
		}
	}
	turns, problem := o.Texts("turns")
	if problem != "" {
		return x, problem
	}
	switch {
	case len(turns) > 0 || x.Knowledge != "":
		if !r.opt.Dialogue {
			return x, "has turns or knowledge, though the task has no dialogues"
		}
		if len(turns) > 0 && len(x.Sources) > 0 {
			return x, fmt.Sprintf("has both turns and %s", k.source)
		}
		if len(turns) > 0 {
			x.Sources = turns
		}
	case len(x.Sources) > maxSources && !r.opt.Dialogue:
		return x, fmt.Sprintf("has %d sources, more than %d", len(x.Sources), maxSources)
	case k.source == "":
		return x, x.label() + "has no source text: it is " + o.String()
	}
	switch {
	case len(targets) > 1:
		return x, fmt.Sprintf("%q has %d texts; put the one to be written there, and all that scoring accepts under references", k.target, len(targets))
	case len(targets) == 1 && columns.Fold(k.target) == "highlights":
		x.Target = sentences(targets[0])
	case len(targets) == 1:
		x.Target = targets[0]
	}
	if len(x.References) > 0 {
		if k.target == "" {
			x.Target = x.References[0]
		}
		// The target comes first.
		if at := slices.Index(x.References, x.Target); at < 0 {
			x.References = slices.Insert(x.References, 0, x.Target)
		} else {
			x.References[0], x.References[at] = x.References[at], x.References[0]
		}
	} else if k.target == "" && r.opt.NeedTarget && x.hasSource() {
		return x, x.label() + "has no target text: it is " + o.String()
	}
	if x.Turn < 0 {
		return x, fmt.Sprintf("turn is %d", x.Turn)
	}
	return x, ""
}
