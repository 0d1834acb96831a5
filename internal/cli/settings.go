package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/run"
)

// defaultSettings lists the settings of a task with a preset's values.
func defaultSettings(p *run.Task, size string) ([]settings.Setting, error) {
	s, err := run.Defaults(p, size)
	if err != nil {
		return nil, usageError{err}
	}
	return settings.List(s), nil
}

// mustSettings is defaultSettings for a size that there is.
func mustSettings(p *run.Task, size string) []settings.Setting {
	list, err := defaultSettings(p, size)
	if err != nil {
		panic(err)
	}
	return list
}

// settingFlags are the flags that a command has for each setting in a list.
type settingFlags struct {
	given []*settingFlag
}

// settingFlag is the flag of a setting. It implements [pflag.Value].
type settingFlag struct {
	setting settings.Setting
	values  []string
	owner   *settingFlags
	check   func(assignment string) error // nil: the setting is checked with all others
}

// taskAnnotation is on commands that are about a task, with its name; trainAnnotation on those that train.
const (
	taskAnnotation  = "task"
	trainAnnotation = "train"
)

// taskOf returns the task that a command is about, nil if it is about none.
func (a *app) taskOf(c *cobra.Command) *run.Task {
	name, ok := c.Annotations[taskAnnotation]
	if !ok {
		return nil
	}
	t, err := a.tasks.Find(name)
	if err != nil {
		panic(err) // the annotation is the program's own
	}
	return t
}

// trains returns the task that a command trains for, nil if it does not train.
func (a *app) trains(c *cobra.Command) *run.Task {
	if c.Annotations[trainAnnotation] == "" {
		return nil
	}
	return a.taskOf(c)
}

func annotate(c *cobra.Command, key, value string) {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[key] = value
}

// registerTraining gives c a flag for each setting of the task whose name is not taken: hidden, since
// they are listed among the settings, but for those that other commands have, too.
func (s *settingFlags) registerTraining(c *cobra.Command, t *run.Task) {
	annotate(c, taskAnnotation, t.Name)
	annotate(c, trainAnnotation, "true")
	annotate(c, sharesAnnotation, "true")
	c.Flags().Bool(allFlag, false, "with --help: show all settings")
	for _, setting := range mustSettings(t, "mini") {
		if f := s.add(c, setting, nil); f != nil {
			f.Hidden = !slices.Contains(deviceNames, f.Name)
		}
	}
}

// register gives c a flag for each setting of a struct like those that package settings fills. Values are
// checked as they are read.
func (s *settingFlags) register(c *cobra.Command, of any) {
	for _, setting := range settings.List(of) {
		s.add(c, setting, func(assignment string) error { return settings.Set(of, assignment) })
	}
}

func (s *settingFlags) add(c *cobra.Command, setting settings.Setting, check func(string) error) *pflag.Flag {
	name := strings.ReplaceAll(setting.Key, "_", "-")
	if c.Flags().Lookup(name) != nil {
		return nil
	}
	f := c.Flags().VarPF(&settingFlag{setting: setting, owner: s, check: check}, name, "", setting.Help)
	if _, ok := setting.Value.(bool); ok {
		f.NoOptDefVal = "true"
	}
	return f
}

func (f *settingFlag) Set(value string) error {
	before := f.values
	f.values = append(f.values, value)
	if f.check != nil {
		if err := f.check(f.assignment()); err != nil {
			return err
		}
	}
	if before == nil {
		f.owner.given = append(f.owner.given, f)
	}
	return nil
}

// String implements [pflag.Value]: the default of a flag that is shown.
func (f *settingFlag) String() string {
	if f.check == nil {
		return ""
	}
	return fmt.Sprint(f.setting.Value)
}

// Type implements [pflag.Value] with the words of pflag.
func (f *settingFlag) Type() string {
	switch f.setting.Value.(type) {
	case bool:
		return "bool"
	case int:
		return "int"
	case uint64:
		return "uint64"
	case float64, float32:
		return "float64"
	case []string:
		return "stringArray"
	}
	return "string"
}

// assignment is the flag as --set would say it. A text is taken as it is; of any other setting
// the last value counts, as with other flags.
func (f *settingFlag) assignment() string {
	last := f.values[len(f.values)-1]
	switch f.setting.Value.(type) {
	case string:
		return f.setting.Key + "=" + strconv.Quote(last)
	case []string:
		if len(f.values) > 1 || !strings.HasPrefix(last, "[") {
			raw, _ := json.Marshal(f.values) // of texts it cannot fail
			return f.setting.Key + "=" + string(raw)
		}
	}
	return f.setting.Key + "=" + last
}

// assignments are those of the flags that were given.
func (s *settingFlags) assignments() []string {
	var list []string
	for _, f := range s.given {
		list = append(list, f.assignment())
	}
	return list
}

// merge returns the assignments of --set with those of the flags behind them. The same setting
// given both ways with different values is an error.
func (s *settingFlags) merge(set []string) ([]string, error) {
	for _, f := range s.given {
		own := f.assignment()
		for _, other := range set {
			key, value, _ := strings.Cut(other, "=")
			if sameKey(key, f.setting.Key) && strings.TrimSpace(value) != strings.TrimPrefix(own, f.setting.Key+"=") && strings.TrimSpace(value) != f.values[len(f.values)-1] {
				return nil, usagef("%s is given twice: --%s %s and --set %s; leave one out", f.setting.Key, strings.ReplaceAll(f.setting.Key, "_", "-"), f.values[len(f.values)-1], other)
			}
		}
		set = append(slices.Clip(set), own)
	}
	return set, nil
}

func sameKey(a, b string) bool {
	plain := func(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "-", "_") }
	return plain(a) == plain(b)
}

// firstSettings are those that people set, in the order in which help shows them. A task has
// about ten of them.
var firstSettings = []string{
	"tasks", "ratio", "text", "images", "pairs", "columns", "dev_share", "epochs", "max_steps", "batch_size", "learning_rate", "max_seq_len", "max_src_len", "max_out_len", "beam_size", "features", "extractor",
	"weight_decay", "hidden_dropout_prob", "seed", "eval_steps", "early_stopping",
}

const shownSettings = 10

// settingsHelp is the part of a command's help about settings.
func settingsHelp(p *run.Task, columns int, all bool) string {
	var rows [][2]string
	list := mustSettings(p, "mini")
	if all {
		rows = settingRows(list, mustSettings(p, "base"))
	} else {
		for _, key := range firstSettings {
			i := slices.IndexFunc(list, func(s settings.Setting) bool { return s.Key == key })
			if i < 0 || len(rows) == shownSettings {
				continue
			}
			rows = append(rows, settingRows(list[i:i+1], mustSettings(p, "base")[i:i+1])...)
		}
	}
	more := "each also a flag, such as --epochs 3, or --set epochs=3, or a line of --config"
	if !all {
		more += fmt.Sprintf("; 'unimo settings %s' has all", p.Name)
	}
	return "\n" + wrapped("Settings with the values of the preset mini ("+more+"):", "", columns) + "\n" + table(rows, columns)
}

// settingRows are the rows of a table of settings; where another preset has other values, these
// are named.
func settingRows(list, base []settings.Setting) (rows [][2]string) {
	for i, s := range list {
		help := s.Help
		if base != nil && !reflect.DeepEqual(s.Value, base[i].Value) {
			help += fmt.Sprintf(" (base: %v)", base[i].Value)
		}
		rows = append(rows, [2]string{strings.TrimRight(fmt.Sprintf("%s = %v", s.Key, shownValue(s.Value)), " "), help})
	}
	return rows
}

func shownValue(value any) any {
	if list, ok := value.([]string); ok && len(list) == 0 {
		return ""
	}
	return value
}

// settingInfo is a setting in "unimo settings --json".
type settingInfo struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	Help  string `json:"help"`
}

func (a *app) settingsCommand() *cobra.Command {
	var size string
	c := &cobra.Command{
		Use:   "settings TASK",
		Short: "List all settings of a task with a preset's values",
		Long: `List what can be set about training for a task, and the values of a preset. Each is a
flag of 'unimo finetune TASK' and 'unimo pretrain' (--learning-rate 1e-4), a key of --set
(--set learning_rate=1e-4), and a line of the file that --config names (learning_rate: 1e-4).
Flags and --set win over the file, the file over the preset; a line without a value leaves
the setting as it is. The tasks are ` + strings.Join(a.tasks.Named().Names(), ", ") + `.`,
		Example: `  unimo settings sst-2
  unimo settings coqa --preset base
  unimo settings pretrain --json`,
		Args:              needs("TASK"),
		ValidArgsFunction: completeFirst(a.tasks.Named().Names()...),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.tasks.Named().Find(args[0])
			if err != nil {
				return usageError{err}
			}
			list, err := defaultSettings(p, size)
			if err != nil {
				return err
			}
			if a.json {
				out := make([]settingInfo, len(list))
				for i, s := range list {
					out[i] = settingInfo{s.Key, s.Value, s.Help}
				}
				return a.printJSON(map[string]any{"task": p.Name, "preset": size, "settings": out})
			}
			var base []settings.Setting
			if !c.Flags().Changed("preset") {
				base = mustSettings(p, "base")
			}
			_, err = fmt.Fprint(a.stdout, table(settingRows(list, base), a.columns()))
			return err
		},
	}
	presetFlag(c, &size)
	return c
}

// presetFlag registers --preset.
func presetFlag(c *cobra.Command, size *string) {
	c.Flags().StringVar(size, "preset", "mini", "`SIZE` of the model and its recipe: "+strings.Join(run.Sizes(), ", "))
}

var _ pflag.Value = (*settingFlag)(nil)
