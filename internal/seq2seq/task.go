package seq2seq

import (
	"fmt"
	"strings"
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
	names := make([]string, len(Tasks))
	for i, t := range Tasks {
		names[i] = t.Name
	}
	return names
}

// Find returns the task of that name.
func Find(name string) (Task, error) {
	for _, t := range Tasks {
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
	}
	return Task{}, fmt.Errorf("unknown task %q: the tasks are %s", name, strings.Join(Names(), ", "))
}
