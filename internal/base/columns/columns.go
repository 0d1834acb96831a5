// Package columns is the one table of the names that people and programs give to the columns of
// tables and to the keys of JSON objects.
//
// A reader asks for the roles it needs, so that a name that one reader takes is taken by all.
// Letters of either case are the same, and so are "file_name", "file-name", "file name" and
// "fileName".
//
//	header := []string{"idx", "Sentence", "label"}
//	columns.Find(header, columns.Text)    // 1
//	columns.Find(header, columns.Caption) // 1: what is asked for decides
//	columns.Find(header, columns.Image)   // -1
//	columns.Unused(header, 1, 2)          // nothing: idx is known to be a number of lines
package columns

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what a column is for.
type Role uint8

// The roles. One name may serve several: "text" is the text of a classification, the caption of
// a picture, and what a summary is written from.
const (
	Text       Role = iota // the text of an example that has one
	FirstText              // the first text of a pair
	SecondText             // the second text of a pair
	Label                  // a class
	Score                  // a number to be predicted
	ID                     // the name or number of an example
	Image                  // the file of a picture
	Caption                // what is said of a picture
	Split                  // train, dev or test
	Source                 // what a text is written from
	Target                 // the text to be written
	Knowledge              // what a conversation is about
	Objects                // what is to be seen in a picture
	Question               // what is asked about a picture
	Answer                 // what is answered to it, once or by several people
	roles
)

func (r Role) String() string {
	return [...]string{"text", "first text", "second text", "label", "score", "id", "image", "caption", "split", "source", "target", "knowledge", "objects", "question", "answer"}[r]
}

// table has the names of each role: those that mean nothing else, the one for messages first;
// then those that are taken only where none of the first are there.
var table = [roles][2][]string{
	Text: {
		{"text", "sentence", "text_a"},
		{"review", "content", "comment", "tweet", "utterance", "message", "description", "body", "document", "question", "query", "input", "review_text",
			"review_body", "comment_text", "sms", "headline", "sentence1", "premise", "text1", "question1"},
	},
	FirstText: {
		{"sentence1", "premise", "question1", "text_a", "text1", "sentence_a", "#1 String"},
		{"question", "query", "anchor"},
	},
	SecondText: {
		{"sentence2", "hypothesis", "question2", "text_b", "text2", "sentence_b", "#2 String"},
		{"sentence", "passage", "context", "document", "positive"},
	},
	Label: {
		{"label", "labels", "gold_label"},
		{"class", "category", "target", "intent", "sentiment", "label_id", "class_index", "class_id", "is_duplicate", "entailment_judgment", "quality",
			"stars", "rating", "emotion", "topic", "y"},
	},
	Score: {
		{"score", "label", "labels"},
		{"gold_label", "similarity", "similarity_score", "relatedness_score", "target", "rating", "stars", "value", "y"},
	},
	ID: {
		{"id", "index", "idx", "qid", "pair_id", "guid", "uid", "example_id", "caption_id", "sent_id"},
		nil,
	},
	Image: {
		{"image", "file_name", "image_name", "image_file", "image_path", "filepath"},
		{"img", "img_path", "path", "file", "photo", "picture", "Flickr30K_ID", "Flikr30kID", "flickr30k_image", "flickr8k_image"},
	},
	Caption: {
		{"caption"},
		{"text", "sentence", "comment", "raw", "title", "description", "captions", "sentences"},
	},
	Split: {{"split"}, nil},
	Source: {
		{"source", "src"},
		{"article", "document", "dialogue", "input", "prompt", "passage", "text"},
	},
	Target: {
		{"target", "tgt"},
		{"highlights", "summary", "output", "completion", "question", "title", "headline"},
	},
	Knowledge: {{"knowledge"}, nil},
	Objects: {
		{"objects", "tags", "object_tags"},
		{"names", "labels", "classes", "object_names"},
	},
	Question: {{"question"}, {"query", "text", "sentence", "prompt"}},
	Answer:   {{"answer", "answers"}, {"label", "labels", "multiple_choice_answer", "target", "output", "gold"}},
}

// meaningless are names of columns in usual files that no reader needs: nobody need be told that
// they were passed over. pandas writes its index without a name.
var meaningless = []string{
	"", "unnamed: 0", "__index_level_0__", "id", "index", "idx", "old_index", "guid", "uid", "qid1", "qid2", "#1 ID", "#2 ID", "pairID", "promptID", "captionID",
	"genre", "filename", "year", "source1", "source2", "sentence1_parse", "sentence2_parse", "sentence1_binary_parse", "sentence2_binary_parse",
	"label1", "label2", "label3", "label4", "label5", "annotator_labels",
}

// Fold returns a name as names are compared: in lower case, without a byte order mark and
// without blanks and what else stands between words.
func Fold(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("\ufeff_-. \t\r\n", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// ranks has the table's names, folded, by their place; those of the second list come after
// secondRank.
var ranks = func() (r [roles]map[string]int) {
	for role, lists := range table {
		r[role] = map[string]int{}
		for i, list := range lists {
			for rank, name := range list {
				r[role][Fold(name)] = i*secondRank + rank
			}
		}
	}
	return r
}()

const secondRank = 1000

var passed = func() map[string]bool {
	set := map[string]bool{}
	for _, name := range meaningless {
		set[Fold(name)] = true
	}
	return set
}()

// Names lists the names of a role, the one for messages first.
func (r Role) Names() []string { return slices.Concat(table[r][0], table[r][1]) }

// Usual says whether a name is used for the role and hardly for anything else.
func Usual(name string, role Role) bool {
	rank, ok := ranks[role][Fold(name)]
	return ok && rank < secondRank
}

// Find returns the place of the column in header that has the role, or -1. A name that is used
// only for the role goes before names that are also used otherwise: "label" before "topic". The
// error is an [*Ambiguous] if several columns may have it; of ids, the usual ones go first.
func Find(header []string, role Role) (int, error) {
	best, other := -1, -1
	rank := func(i int) int { return ranks[role][Fold(header[i])] }
	for i, name := range header {
		if _, ok := ranks[role][Fold(name)]; !ok {
			continue
		}
		switch {
		case best < 0:
			best = i
		case role == ID && rank(i) != rank(best):
			if rank(i) < rank(best) {
				best = i
			}
		case rank(i)/secondRank < rank(best)/secondRank:
			best, other = i, -1
		case rank(i)/secondRank == rank(best)/secondRank && other < 0:
			other = i
		}
	}
	if other >= 0 {
		return -1, &Ambiguous{role, [2]string{header[best], header[other]}}
	}
	return best, nil
}

// Unused lists the names in header of the columns that are not used and not known to be of no
// use, to be told to people: one of them may have been meant.
func Unused(header []string, used ...int) []string {
	var names []string
	for i, name := range header {
		if !slices.Contains(used, i) && !passed[Fold(name)] {
			names = append(names, name)
		}
	}
	return names
}

// Ambiguous says that two columns may have the same role.
type Ambiguous struct {
	Role  Role
	Names [2]string // as in the header
}

// Error names the columns and the role.
func (e *Ambiguous) Error() string {
	if e.Names[0] == e.Names[1] {
		return fmt.Sprintf("has two columns %q", e.Names[0])
	}
	return fmt.Sprintf("has %q and %q, and either could be the %v", e.Names[0], e.Names[1], e.Role)
}
