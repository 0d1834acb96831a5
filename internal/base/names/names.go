// Package names finds what a name that a person typed means: a command, a flag, a setting, a
// task, a metric. A name that means nothing gets an error with the nearest one there is.
package names

import (
	"fmt"
	"slices"
	"strings"
)

// Find returns the member of list that name means: the one that equals it, or does so apart
// from case and separators ("sst2", "SST_2" and "sst-2"), or that it is an alias of ("cnndm").
// kind is what list holds, in the singular ("task"). The error is that of [Unknown].
func Find(kind, name string, list []string) (string, error) {
	if slices.Contains(list, name) {
		return name, nil
	}
	for _, meant := range []string{fold(name), aliases[fold(name)]} {
		for _, known := range list {
			if meant != "" && fold(known) == meant {
				return known, nil
			}
		}
	}
	return "", Unknown(kind, name, list)
}

// Error says that there is no such name.
type Error struct {
	Kind, Name string
	Near       string   // the nearest name there is; "" if none is near
	List       []string // all names there are
}

// shownList bounds the names that a message lists, in bytes: two lines of a terminal.
const shownList = 150

// fewList bounds those that are listed beside the nearest.
const fewList = 32

// Error names the nearest name, or all of them if they are few.
func (e *Error) Error() string {
	message := fmt.Sprintf("unknown %s %q", e.Kind, e.Name)
	all := strings.Join(e.List, ", ")
	switch {
	case e.Near != "" && len(e.List) > 0 && len(all) <= fewList:
		return fmt.Sprintf("%s; did you mean %s? There are %s", message, e.Near, all)
	case e.Near != "":
		return fmt.Sprintf("%s; did you mean %s?", message, e.Near)
	case len(all) <= shownList && len(e.List) > 0:
		return fmt.Sprintf("%s; choose one of %s", message, all)
	}
	return message
}

// Unknown returns the error of a name that is not in list.
func Unknown(kind, name string, list []string) *Error {
	return &Error{Kind: kind, Name: name, Near: nearest(name, list), List: list}
}

// aliases are other names of tasks and splits, and what they are here, both folded.
var aliases = map[string]string{
	"sst": "sst2", "sts": "stsb", "stsbenchmark": "stsb", "multinli": "mnli",
	"cnndm": "cnndailymail", "cnn": "cnndailymail", "squad": "squadqg", "flickr": "flickr",
	"val": "dev", "valid": "dev", "validation": "dev",
}

// habits are names from other programs, and what people who type them mean here, in the order
// of likelihood; all are folded. Unlike an alias, such a name is not accepted.
var habits = map[string][]string{
	// Settings.
	"gpu": {"cuda", "device"}, "cuda": {"device"}, "cpu": {"device"}, "nvidia": {"cuda"}, "amd": {"rocm"}, "hip": {"rocm"}, "intel": {"oneapi"}, "xpu": {"oneapi"},
	"fp32": {"float32"}, "f32": {"float32"}, "bfloat16": {"bf16", "precision"}, "fp16": {"bf16", "precision"}, "bf16": {"precision"}, "amp": {"precision"}, "mixedprecision": {"precision"}, "dtype": {"precision"}, "float16": {"bf16"}, "half": {"bf16"},
	"lr":       {"learningrate"},
	"rate":     {"learningrate"},
	"bs":       {"batchsize"},
	"batch":    {"batchsize"},
	"wd":       {"weightdecay"},
	"decay":    {"weightdecay"},
	"numepoch": {"epochs"}, "numepochs": {"epochs"}, "numtrainepochs": {"epochs"}, "nepochs": {"epochs"},
	"steps": {"maxsteps"}, "numsteps": {"maxsteps"}, "trainsteps": {"maxsteps"},
	"maxlength": {"maxlength", "maxseqlen", "maxsrclen", "maxtextlen"}, "maxlen": {"maxseqlen", "maxsrclen", "maxtextlen", "maxlength"},
	"maxseqlength": {"maxseqlen", "maxtextlen"}, "seqlen": {"maxseqlen", "maxtextlen"},
	"maxsourcelength": {"maxsrclen"}, "maxtargetlength": {"maxtgtlen"}, "maxnewtokens": {"maxoutlen", "maxlength"},
	"perdevicetrainbatchsize": {"batchsize"}, "trainbatchsize": {"batchsize"}, "perdeviceevalbatchsize": {"evalbatchsize"},
	"warmup": {"warmupproportion"}, "warmupratio": {"warmupproportion"}, "warmupsteps": {"warmupproportion"},
	"dropout": {"hiddendropoutprob"}, "attentiondropout": {"attentionprobsdropoutprob"},
	"accumulation": {"gradientaccumulation"}, "gradaccum": {"gradientaccumulation"}, "gradientaccumulationsteps": {"gradientaccumulation"},
	"clip": {"clipnorm"}, "maxgradnorm": {"clipnorm"}, "gradclip": {"clipnorm"}, "gradnorm": {"clipnorm"},
	"scheduler": {"lrscheduler"}, "schedule": {"lrscheduler"}, "lrschedulertype": {"lrscheduler"},
	"patience": {"earlystopping"}, "earlystoppingpatience": {"earlystopping"},
	"savesteps": {"snapshotsteps"}, "loggingsteps": {"logsteps"}, "eps": {"epsilon"}, "adamepsilon": {"epsilon"},
	"adambeta1": {"beta1"}, "adambeta2": {"beta2"}, "randomstate": {"seed"}, "randomseed": {"seed"},
	"layers": {"numhiddenlayers"}, "numlayers": {"numhiddenlayers"}, "heads": {"numattentionheads"}, "numheads": {"numattentionheads"},
	"hidden": {"hiddensize"}, "dim": {"hiddensize"}, "lowercase": {"dolowercase"}, "uncased": {"dolowercase"},
	"labelsmoothing": {"labelsmooth"}, "labelsmoothingfactor": {"labelsmooth"}, "tau": {"temperature"},
	"beams": {"beam", "beamsize"}, "numbeams": {"beam", "beamsize"}, "beamsize": {"beam"}, "beam": {"beamsize"},
	"norepeatngramsize": {"blocktrigram"}, "dosample": {"sample"}, "minnewtokens": {"minoutlen", "minlength"}, "texts": {"text"},
	// Flags.
	"output": {"out"}, "outputdir": {"out"}, "outdir": {"out"}, "outputpath": {"out"}, "savedir": {"out"},
	"modelnameorpath": {"init", "model"}, "modelpath": {"model", "init"}, "modeldir": {"model", "init"}, "checkpoint": {"init", "model"},
	"pretrained": {"init"}, "model": {"init"}, "ckpt": {"init", "model"}, "weights": {"init", "model"}, "tokenizer": {"vocab"}, "dict": {"vocab"},
	"dataset": {"data"}, "datadir": {"data"}, "datapath": {"data"}, "input": {"data", "hyp"}, "train": {"data"}, "file": {"data"}, "csv": {"data"}, "trainfile": {"data"}, "devfile": {"dev"}, "validationfile": {"dev"},
	"textcolumn": {"columns"}, "labelcolumn": {"columns"}, "textcol": {"columns"}, "labelcol": {"columns"}, "target": {"columns"},
	"devsize": {"devshare"}, "valsize": {"devshare"}, "testsize": {"devshare"}, "split": {"devshare"}, "valsplit": {"devshare"}, "validationsplit": {"devshare"},
	"size": {"preset"}, "topn": {"count"}, "topk": {"count"}, "k": {"count"}, "hypothesis": {"hyp"}, "hypotheses": {"hyp"}, "predictions": {"hyp"},
	"reference": {"ref"}, "references": {"ref"}, "jobs": {"threads"}, "numthreads": {"threads"}, "numworkers": {"workers", "threads"}, "resumefromcheckpoint": {"resume"},
	// Commands.
	"run": {"predict"}, "infer": {"predict"}, "inference": {"predict"}, "classify": {"predict"}, "export": {"convert"}, "test": {"evaluate"},
	"summarize": {"generate"}, "summarise": {"generate"}, "write": {"generate"}, "translate": {"generate"}, "embed": {"index"}, "find": {"search"}, "query": {"search"},
	"ask": {"chat"}, "show": {"inspect"}, "info": {"inspect"}, "tokenize": {"tokenizer", "encode"}, "prep": {"prepare"}, "check": {"validate"}, "diff": {"compare"}, "list": {"runs"},
	// Tasks.
	"sentiment": {"sst2"}, "nli": {"mnli"}, "acceptability": {"cola"}, "similarity": {"stsb"}, "summarization": {"cnndailymail"}, "summary": {"cnndailymail"},
	"headlines": {"gigaword"}, "qa": {"coqa"}, "qg": {"squadqg"}, "retrieval": {"flickr30k"}, "captions": {"flickr30k"},
	"classification": {"classify"}, "regression": {"regress"},
	// Values.
	"small": {"mini"}, "tiny": {"mini"}, "medium": {"base"}, "big": {"large"}, "huge": {"large"}, "eval": {"dev"}, "training": {"train"}, "testing": {"test"},
	"pytorch": {"safetensors"}, "huggingface": {"safetensorsfolder"}, "hf": {"safetensorsfolder"}, "pdparams": {"paddle"},
	"stats": {"statistics"}, "patch": {"patches"}, "rouge1": {"rouge"}, "rouge2": {"rouge"}, "rougel": {"captionrougel", "rouge"}, "bleu4": {"bleu"}, "f1": {"coqa"}, "dist": {"distinct"},
}

// nearest returns the name in list that name most likely means, "" if none is near.
func nearest(name string, list []string) string {
	folded := fold(name)
	for _, meant := range append([]string{folded, aliases[folded]}, habits[folded]...) {
		for _, known := range list {
			if meant != "" && fold(known) == meant {
				return known
			}
		}
	}
	best, least := "", tolerance(folded)+1
	for _, known := range list {
		if d := distance(folded, fold(known)); d < least {
			best, least = known, d
		}
	}
	if best != "" {
		return best
	}
	// The beginning of one name only, or one name's words with more behind.
	for _, known := range list {
		k := fold(known)
		if len(folded) >= 3 && strings.HasPrefix(k, folded) || len(k) >= 4 && strings.HasPrefix(folded, k) {
			if best != "" {
				return ""
			}
			best = known
		}
	}
	return best
}

// tolerance is how many slips of the keyboard a name may have and still be recognised.
func tolerance(name string) int { return min(len(name)/3, 3) }

// longest bounds the names that are compared: none that is meant is longer.
const longest = 64

// fold returns name without case and separators.
func fold(name string) string {
	if len(name) > longest {
		name = name[:longest]
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_ ./", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// distance is the number of letters to insert, delete, exchange, or swap with the next one
// (Damerau and Levenshtein's, each place changed once) that make b of a.
func distance(a, b string) int {
	before, last := []int{}, make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			exchange := last[j]
			if a[i] != b[j] {
				exchange++
			}
			row[j+1] = min(exchange, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
