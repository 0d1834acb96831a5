package checkpoint

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// What is met in place of a checkpoint is named, with what to do about it.

// otherFiles are the files of other kinds of checkpoints, by patterns of their names.
var otherFiles = []struct{ pattern, name, remedy string }{
	{"adapter_model.*", "an adapter (LoRA), which is no model of its own", "merge it into its model with Python's peft: AutoPeftModel.from_pretrained(DIR).merge_and_unload().save_pretrained(NEW)"},
	{"*.h5", "weights of TensorFlow", "save them for PyTorch, with transformers 4: AutoModel.from_pretrained(DIR, from_tf=True).save_pretrained(NEW)"},
	{"*.msgpack", "weights of Flax", "save them for PyTorch, with transformers 4: AutoModel.from_pretrained(DIR, from_flax=True).save_pretrained(NEW)"},
	{"*.onnx", "a program of ONNX", "take the weights that it was made from"},
	{"*.gguf", "weights of llama.cpp", "take the weights that it was made from"},
	{"*.ckpt.index", "a checkpoint of TensorFlow", "convert it with transformers' convert_bert_original_tf_checkpoint_to_pytorch"},
	{"*.pdparams", "weights of Paddle 2", sameFile},
	{graphs, "a graph of TensorFlow.js, by the .bin of its name", sameFile},
	{"model-*-of-*.safetensors", "a shard without its index", "fetch model.safetensors.index.json as well"},
	{"pytorch_model-*-of-*.bin", "a shard without its index", "fetch pytorch_model.bin.index.json as well"},
	{"*.safetensors", "a safetensors file of another name", sameFile},
	{"*.bin", "maybe a file of PyTorch of another name", sameFile},
	{"*.pt", "maybe a file of PyTorch of another name", sameFile},
	{"*.pth", "maybe a file of PyTorch of another name", sameFile},
	{"*.tar.gz", "maybe an archive of a checkpoint", sameFile},
}

// graphs are recognised by the weights beside them alone.
const graphs = "*.json"

// sameFile is the advice where a file itself may be opened.
const sameFile = "name the file itself"

// nothingFound is the error for a folder without a checkpoint, whose files these are: it says what is there instead.
func nothingFound(root *os.Root, folder string, names []string) error {
	problem := "holds no checkpoint: neither " + singleFile + " nor " + torchFile + ", the index of shards of one, nor a Paddle variable"
	for _, name := range names {
		if strings.HasPrefix(path.Ext(name), ".htm") { // what it says it is
			continue
		}
		if err := infile.Foreign(filepath.Join(folder, name), headInside(root, name)); err != nil {
			return err
		}
	}
	look := names
	for _, dir := range names { // ONNX is kept in a folder of its own
		if inner, err := fs.ReadDir(root.FS(), dir); err == nil {
			for _, entry := range inner {
				look = append(look, path.Join(dir, entry.Name()))
			}
		}
	}
	for _, name := range look {
		if dir, file := path.Split(name); dir != "" && (file == singleFile || file == torchFile) {
			return &infile.Error{File: folder, Problem: problem + "; " + name + " is one", Remedy: "name " + filepath.Join(folder, dir)}
		}
	}
	for _, known := range otherFiles {
		for _, name := range look {
			if ok, _ := path.Match(known.pattern, path.Base(name)); ok && (known.pattern != graphs || slices.Contains(look, strings.TrimSuffix(name, ".json")+".bin")) {
				return &infile.Error{File: folder, Problem: problem + "; " + name + " is " + known.name, Remedy: known.remedy}
			}
		}
	}
	return &infile.Error{File: folder, Problem: problem, Remedy: "name the folder in which the checkpoint's files lie"}
}

// headInside returns the first bytes of a file of a folder, none if it cannot be read.
func headInside(root *os.Root, name string) []byte {
	f, err := openInside(root, name)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, infile.HeadBytes)
	n, _ := f.ReadAt(head, 0)
	return head[:n]
}
