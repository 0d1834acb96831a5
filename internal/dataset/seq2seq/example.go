package seq2seq

// Example is one pair of source and target.
type Example struct {
	ID         string   // "" where the file has none
	Sources    []string // what the model reads, each ended by [SEP]; of a dialogue the turns so far, oldest first, the question last
	Knowledge  string   // the passage of a dialogue; "" none
	Target     string   // what the model should write; "" unknown
	HasTarget  bool
	References []string // all targets accepted in scoring, Target first; nil: Target alone
	Domain     string   // where the passage is from, CoQA's "source"
	Group      string   // story, article or passage: examples of a group never straddle splits; "" is a group of its own
	Turn       int      // of a dialogue, from 1; 0 unknown
	IDs        bool     // the texts are BPE ids in decimal with a space between, as in the reference's released files
	File       string   // the path as given to the reader
	Line       int      // from 1; where the example begins, or in CoQA's and SQuAD's JSON its conversation or article
}
