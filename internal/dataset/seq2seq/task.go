package seq2seq

import (
	"slices"

	"github.com/unimo-go/unimo/internal/base/names"
)

// Task is what is fixed about a task's data. The lengths are the reference's and count
// the special tokens.
type Task struct {
	Name      string // as on the command line
	Title     string
	Dialogue  bool
	Passages  bool // lines that follow one another may be of one passage: see GroupRuns
	MaxSource int  // most tokens of a source text, its [SEP] and the [CLS] in front included
	MaxTarget int  // most tokens of a target, its [CLS] and the end token included
}

// Tasks are the tasks with official data.
var Tasks = []Task{
	{Name: "coqa", Title: "CoQA (conversational question answering)", Dialogue: true, MaxSource: 480, MaxTarget: 32},
	{Name: "squad-qg", Title: "SQuAD question generation", Passages: true, MaxSource: 416, MaxTarget: 96},
	{Name: "cnn-dailymail", Title: "CNN/DailyMail (summaries)", MaxSource: 512, MaxTarget: 128},
	{Name: "gigaword", Title: "Gigaword (headlines)", MaxSource: 128, MaxTarget: 32},
}

// Names lists the tasks.
func Names() []string {
	list := make([]string, len(Tasks))
	for i, t := range Tasks {
		list[i] = t.Name
	}
	return list
}

// Find returns the task that name means (see [names.Find]).
func Find(name string) (Task, error) {
	known, err := names.Find("task", name, Names())
	if err != nil {
		return Task{}, err
	}
	return Tasks[slices.IndexFunc(Tasks, func(t Task) bool { return t.Name == known })], nil
}
