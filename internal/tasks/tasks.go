// Package tasks lists the tasks there are. To add a kind of task, add a package beside classify and
// a line below; docs/guides/add-a-kind.md says how.
package tasks

import (
	"slices"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/captioning"
	"github.com/unimo-go/unimo/internal/tasks/classify"
	"github.com/unimo-go/unimo/internal/tasks/entail"
	"github.com/unimo-go/unimo/internal/tasks/multi"
	"github.com/unimo-go/unimo/internal/tasks/pretrained"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
	"github.com/unimo-go/unimo/internal/tasks/vqa"
	"github.com/unimo-go/unimo/internal/tasks/write"
)

// All are the tasks.
var All = append(single, multi.NewTask(single))

// single are those of one kind.
var single = slices.Clip(slices.Concat(
	classify.Tasks,
	write.Tasks,
	retrieve.Tasks,
	entail.Tasks,
	vqa.Tasks,
	captioning.Tasks,
	run.Tasks{pretrained.Task},
))
