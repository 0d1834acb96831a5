package labelled

import (
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// The schemas of the tests are those of the real tasks.

var sentence = Schema{
	Labels: []string{"negative", "positive"},
}

var acceptability = Schema{
	Labels: []string{"unacceptable", "acceptable"},
	Headerless: []Layout{{
		Name: "CoLA's source, label, mark, sentence", Format: textfile.FormatTSV,
		Columns: []Role{Ignored, Label, Ignored, TextA},
	}},
}

var inference = Schema{
	Pair:   true,
	Labels: []string{"contradiction", "entailment", "neutral"},
}

var similarity = Schema{
	Pair: true, Regression: true, MinScore: 0, MaxScore: 5,
	Headerless: []Layout{{
		Name: "STS-B's sentence, sentence, score", Format: textfile.FormatCSV,
		Columns: []Role{TextA, TextB, Label},
	}},
}

// open and numbers are those of data that people bring.
var open, numbers = Schema{Open: true}, Schema{Open: true, Regression: true}
