package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/hub"
)

// weightsPage says where weights and data are got from.
const weightsPage = "docs/guides/weights-and-data.md"

// The flags whose values are files and folders that must be there.
var (
	modelFlags = []string{"model", "init", "vocab"}
	dataFlags  = []string{"data", "dev"}
	fileFlags  = []string{"config", "story", "index", "hyp", "ref", "wordnet", "paraphrases", "objects", "object-vocab", "keys", "tls-cert", "tls-key"}
)

// pageFlags are those whose values are pages to write. A page takes the place of one that is there.
var pageFlags = []string{"html", "report"}

// checkPaths refuses a call that names a file or folder which is not there, or that a page may not
// take the place of, before any work.
func (a *app) checkPaths(c *cobra.Command) error {
	var missing error
	c.Flags().Visit(func(f *pflag.Flag) {
		if missing != nil {
			return
		}
		paths := []string{f.Value.String()}
		if s, ok := f.Value.(*settingFlag); ok {
			paths = s.values
		} else if list, ok := f.Value.(pflag.SliceValue); ok {
			paths = list.GetSlice()
		}
		for _, path := range paths {
			if name, dir, ok := strings.Cut(path, "="); ok && slices.Contains(modelFlags, f.Name) && !hub.IsName(path) && absent(path) && name != "" {
				path = dir // NAME=DIR
			}
			switch {
			case slices.Contains(modelFlags, f.Name):
				missing = checkModel(path)
			case f.Name == extractorName && strings.ContainsAny(path, `/\.`): // others are names
				missing = checkModel(path)
			case slices.Contains(dataFlags, f.Name):
				missing = a.checkData(path)
			case slices.Contains(pageFlags, f.Name):
				missing = checkPage(f.Name, path)
			case slices.Contains(fileFlags, f.Name) && absent(path):
				missing = notThere(path, "check the path")
			}
		}
	})
	return missing
}

func absent(path string) bool {
	_, err := os.Stat(path)
	return path != "" && errors.Is(err, fs.ErrNotExist)
}

func notThere(path, remedy string) error {
	return &infile.Error{File: path, Problem: "does not exist", Remedy: remedy, Err: fs.ErrNotExist}
}

// hubOwners are the owners, on Hugging Face's hub, of models that are known by their names alone.
var hubOwners = map[string]string{
	"roberta": "FacebookAI", "bert": "google-bert", "all-minilm": "sentence-transformers", "all-mpnet": "sentence-transformers",
	"paraphrase-minilm": "sentence-transformers", "multi-qa-minilm": "sentence-transformers", "minilm": "microsoft",
}

// hubName is a name of Hugging Face's hub: owner and model, of which the owner may be left out.
var hubName = regexp.MustCompile(`^(?:([A-Za-z0-9][\w.-]*)/)?([A-Za-z0-9][\w.-]*)$`)

// checkModel refuses a model that is not there. Where its name is one of a hub, the error says how
// to fetch it.
func checkModel(path string) error {
	if hub.IsName(path) {
		_, err := hub.Find(path)
		return err
	}
	if !absent(path) {
		return nil
	}
	name := strings.TrimPrefix(path, "huggingface.co/")
	parts := hubName.FindStringSubmatch(strings.TrimSuffix(name, "/"))
	if parts == nil || slices.Contains([]string{".safetensors", ".bin", ".pth", ".pt", ".json"}, filepath.Ext(name)) || slices.Contains([]string{"best", "last"}, parts[2]) {
		if strings.Contains(path, "://") {
			return fmt.Errorf("%s is no address that models are fetched from; name %s (%s)", path, hub.Forms, weightsPage)
		}
		return notThere(path, fmt.Sprintf("check the path (%s says where models come from)", weightsPage))
	}
	owner, model := parts[1], parts[2]
	if owner == "" {
		longest := ""
		for prefix := range hubOwners {
			if strings.HasPrefix(strings.ToLower(model), prefix+"-") && len(prefix) > len(longest) {
				longest = prefix
			}
		}
		if owner = hubOwners[longest]; owner == "" {
			return fmt.Errorf("%s is no file or folder here; %s says where models come from", path, weightsPage)
		}
	} else if _, err := os.Stat(owner); err == nil { // a folder here, whatever else it is
		return notThere(path, "check the path")
	}
	return fmt.Errorf("%s is no folder here; fetch it with 'unimo pull hf:%s/%s' and call it hf:%s/%s (%s)", path, owner, model, owner, model, weightsPage)
}

// checkData refuses data that are not there. Where their name is a task's, the error says where to
// get them.
func (a *app) checkData(path string) error {
	if !absent(path) {
		return nil
	}
	if strings.Contains(path, "://") {
		return fmt.Errorf("%s is an address, and data are not downloaded; fetch the files and name their folder (%s)", path, weightsPage)
	}
	name := strings.TrimSuffix(path, "/")
	name = strings.TrimPrefix(name, "glue/")
	if p, err := a.finetuned().Find(name); err == nil {
		return fmt.Errorf("%s is no file or folder here, and data are not downloaded; %s says where to get the data of %s", path, weightsPage, p.Name)
	}
	return notThere(path, "check the path")
}

// checkPage refuses a name under which a page must not be written: what a slip of the hand names,
// such as a picture or a table, stays as it is.
func checkPage(flag, path string) error {
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".html" && ext != ".htm" {
		return usagef("--%s %q: a page is written; end its name with .html", flag, path)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file that a page could take the place of; choose another name", path)
	}
	return checkParent(path)
}

// newPath returns the clean path of a file or folder that a command is to make. It refuses one that
// is there, and one whose folder is not, before any work.
func newPath(path string) (string, error) {
	clean := filepath.Clean(path)
	if _, err := os.Lstat(clean); err == nil {
		return "", fmt.Errorf("%s exists; choose a new name or remove it", path)
	}
	return clean, checkParent(clean)
}

// checkParent refuses a path whose folder is not there.
func checkParent(path string) error {
	parent := filepath.Dir(filepath.Clean(path))
	info, err := os.Stat(parent)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: its folder %s does not exist; make it first", path, parent)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s: %s is no folder", path, parent)
	}
	return nil
}
