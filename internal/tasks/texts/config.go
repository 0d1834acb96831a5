package texts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
)

// maxConfig bounds generation_config.json; real ones have less than a kilobyte.
const maxConfig = 1 << 16

// ReadConfig reads the generation_config.json of a model over limits, a pointer to a struct of JSON of which d is a part,
// and checks that. A model without the file, such as a converted checkpoint, leaves limits as they are.
func ReadConfig(o *run.Opened, limits any, d *decode.Options) error {
	err := infile.ReadJSON(o.File(modeldir.GenerationFile), maxConfig, limits)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = d.Validate(o.Config)
		if err != nil {
			err = fmt.Errorf("%s: %w", modeldir.GenerationFile, err)
		}
	}
	return err
}

// ConfigFile is the file that [ReadConfig] reads, as a file of a model's folder.
func ConfigFile(limits any) (map[string][]byte, error) {
	raw, err := json.MarshalIndent(limits, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", modeldir.GenerationFile, err)
	}
	return map[string][]byte{modeldir.GenerationFile: append(raw, '\n')}, nil
}
