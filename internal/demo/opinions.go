package demo

import (
	"io"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/demo/synth"
)

var opinions = Part{
	Name: "opinions", About: "classifies short opinions", Takes: "one minute", Shows: "the curves and mistakes",
	Try: TryTexts, Task: Opinions, Settings: []string{"vocab_size=1024", "hidden_dropout_prob=0.1"},
	Sizes:   Sizes{Train: 11000, Dev: 1000, HeldOut: 2000},
	Notice:  "Synthetic data: sentences made by a grammar of this program. The score says that the model learned to compose words it saw in other combinations; it says nothing about real reviews.",
	heldOut: "held-out.tsv", write: writeOpinions,
	Next: `SST-2 as GLUE has it (train.tsv, dev.tsv):
  unimo finetune sst-2 --data SST-2 --preset mini --out RUN
and with the released weights (unimo_base_en.tar.gz and its dict folder):
  unimo finetune sst-2 --data SST-2 --preset base --init unimo_base_en.tar.gz --vocab dict --out RUN`,
}

func writeOpinions(dir string, n Sizes) error {
	trainSet, heldOut := synth.Opinions(seed, n.Train+n.Dev, n.HeldOut)
	return writeFiles(dir, synth.WriteTSV, map[string][]synth.Opinion{
		"train.tsv": trainSet[n.Dev:], "dev.tsv": trainSet[:n.Dev], "held-out.tsv": heldOut,
	})
}

// writeFiles writes files of examples into the folder dir.
func writeFiles[T any](dir string, write func(io.Writer, []T) error, files map[string][]T) error {
	for name, examples := range files {
		err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error { return write(w, examples) })
		if err != nil {
			return err
		}
	}
	return nil
}
