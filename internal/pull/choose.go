package pull

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"
)

// weightForms are the files of weights, the best first: what package checkpoint opens in a folder, in its order. Of the first form that a
// repository has, all files are needed.
var weightForms = []*regexp.Regexp{
	regexp.MustCompile(`^model(-\d+-of-\d+)?\.safetensors$|^model\.safetensors\.index\.json$`),
	regexp.MustCompile(`^pytorch_model(-\d+-of-\d+)?\.bin$|^pytorch_model\.bin\.index\.json$`),
	regexp.MustCompile(`^[^/]*\.pdparams$`),
	regexp.MustCompile(`^[^/]*\.(safetensors|pth|pt|bin)$`),
}

// beside are what stands beside weights: configuration, vocabulary, the parts of sentence-transformers and of this program's models, and
// what people read.
var beside = regexp.MustCompile(`(?i)^(config|model_config|generation_config|preprocessor_config|processor_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|modules|` +
	`sentence_[a-z]+_config|config_sentence_transformers|[^/]*image_processor|[^/]*calibration|[^/]*generation_config|[^/]*encoder)\.json$|` +
	`^([^/]*vocab\.txt|merges\.txt|[^/]*vocab\.bpe|image_encoder\.safetensors|configuration_unimo\.py|modeling_unimo\.py|readme\.md|licen[sc]e(\.[a-z]+)?|notice(\.[a-z]+)?|use_policy\.md)$|` +
	`^\d+_[A-Za-z]+/(config\.json|model\.safetensors)$`)

// partWeights are weights of a part of sentence-transformers.
var partWeights = regexp.MustCompile(`^\d+_[A-Za-z]+/pytorch_model\.bin$`)

// choose leaves out what a model does not need: weights in other forms, and what no part of this program reads.
func (p *Plan) choose(all bool) {
	slices.SortFunc(p.Files, func(a, b *File) int { return cmp.Compare(a.Path, b.Path) })
	if all {
		return
	}
	has := map[string]bool{}
	for _, f := range p.Files {
		has[f.Path] = true
	}
	var form *regexp.Regexp
	for _, one := range weightForms {
		if slices.ContainsFunc(p.Files, func(f *File) bool { return one.MatchString(f.Path) && !beside.MatchString(f.Path) }) {
			form = one
			break
		}
	}
	var needed []*File
	for _, f := range p.Files {
		partial := partWeights.MatchString(f.Path) && !has[path.Join(path.Dir(f.Path), "model.safetensors")]
		if beside.MatchString(f.Path) || partial || form != nil && form.MatchString(f.Path) && !strings.HasPrefix(path.Base(f.Path), "training_args") {
			needed = append(needed, f)
		} else {
			p.LeftOut = append(p.LeftOut, LeftOut{f.Path, f.Size})
		}
	}
	p.Files = needed
}
