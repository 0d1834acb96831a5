package columns

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	for _, c := range []struct {
		header string
		role   Role
		want   int
		err    string
	}{
		{"idx,sentence,label", Text, 1, ""},
		{"\ufeffText ,Label", Text, 0, ""},
		{"image,caption", Text, -1, ""},
		{"premise,hypothesis,label", FirstText, 0, ""},
		{"premise,hypothesis,label", SecondText, 1, ""},
		{"question,sentence,label", FirstText, 0, ""},
		{"question,sentence,label", SecondText, 1, ""},
		{"Sentence1,sentence_2", SecondText, 1, ""},
		{"text,sentence", Text, -1, `has "text" and "sentence", and either could be the text`},
		{"text,TEXT", Text, -1, `has "text" and "TEXT", and either`},
		{"text,text", Text, -1, `two columns "text"`},
		{"review,text", Text, 1, ""},
		{"review,comment", Text, -1, `has "review" and "comment", and either`},
		{"topic,label,rating", Label, 1, ""},
		{"topic,rating,text", Label, -1, `has "topic" and "rating", and either could be the label`},
		{"goldLabel,text", Label, 0, ""},
		{"label1,label2,gold_label", Label, 2, ""},
		{"label,score", Label, 0, ""},
		{"label,score", Score, -1, `has "label" and "score", and either could be the score`},
		{"Class Index,Title,Description", Label, 0, ""},
		{"Class Index,Title,Description", Text, 2, ""},
		{"captionID,pairID,idx", ID, 2, ""},
		{"idx,id", ID, 1, ""},
		{"id,id", ID, -1, `two columns "id"`},
		{"text,label", ID, -1, ""},
		{"file_name,text", Image, 0, ""},
		{"fileName,text", Image, 0, ""},
		{"filepath,title", Image, 0, ""},
		{"filepath,title", Caption, 1, ""},
		{"file_name,text,caption", Caption, 2, ""},
		{"document,summary,id", Source, 0, ""},
		{"document,summary,id", Target, 1, ""},
		{"passage,question", Target, 1, ""},
	} {
		got, err := Find(strings.Split(c.header, ","), c.role)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: the %v is %d, %v, want %d, %q", c.header, c.role, got, err, c.want, c.err)
		}
		var ambiguous *Ambiguous
		if err != nil && (!errors.As(err, &ambiguous) || ambiguous.Role != c.role) {
			t.Errorf("%s: %#v", c.header, err)
		}
	}
}

func TestUnused(t *testing.T) {
	header := []string{"", "Unnamed: 0", "text", "label", "idx", "annotator", "genre", "Mood"}
	if got, want := Unused(header, 2, 3), []string{"annotator", "Mood"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Every name of the table is found, by itself, for its role; none is there twice, and none of
// one role is folded into another name of it.
func TestTable(t *testing.T) {
	for role := range roles {
		names := role.Names()
		if len(names) == 0 || role.String() == "" {
			t.Errorf("role %d has no names", role)
		}
		seen := map[string]string{}
		for _, name := range names {
			if other, twice := seen[Fold(name)]; twice {
				t.Errorf("%v: %q and %q are the same", role, other, name)
			}
			seen[Fold(name)] = name
			if at, err := Find([]string{"?", name}, role); at != 1 || err != nil {
				t.Errorf("%v: %q is at %d, %v", role, name, at, err)
			}
		}
	}
}
