package data

// The schemas of the tests are those of the real tasks.

var sentence = Schema{
	Labels:  []string{"negative", "positive"},
	Columns: []Column{{"sentence", TextA}, {"index", ID}},
}

var acceptability = Schema{
	Labels:  []string{"unacceptable", "acceptable"},
	Columns: []Column{{"sentence", TextA}, {"index", ID}},
	Headerless: []Layout{{
		Name: "CoLA's source, label, mark, sentence", Format: FormatTSV,
		Columns: []Role{Ignored, Label, Ignored, TextA},
	}},
}

var inference = Schema{
	Pair:   true,
	Labels: []string{"contradiction", "entailment", "neutral"},
	Columns: []Column{
		{"index", ID}, {"sentence1", TextA}, {"sentence2", TextB}, {"gold_label", Label},
		{"promptID", Ignored}, {"pairID", Ignored}, {"genre", Ignored},
		{"sentence1_binary_parse", Ignored}, {"sentence2_binary_parse", Ignored},
		{"sentence1_parse", Ignored}, {"sentence2_parse", Ignored},
		{"label1", Ignored}, {"label2", Ignored}, {"label3", Ignored}, {"label4", Ignored}, {"label5", Ignored},
	},
}

var similarity = Schema{
	Pair: true, Regression: true, MinScore: 0, MaxScore: 5,
	Columns: []Column{
		{"index", ID}, {"sentence1", TextA}, {"sentence2", TextB}, {"score", Label},
		{"genre", Ignored}, {"filename", Ignored}, {"year", Ignored}, {"old_index", Ignored},
		{"source1", Ignored}, {"source2", Ignored},
	},
	Headerless: []Layout{{
		Name: "STS-B's sentence, sentence, score", Format: FormatCSV,
		Columns: []Role{TextA, TextB, Label},
	}},
}
