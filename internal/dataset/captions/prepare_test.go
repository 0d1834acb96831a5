package captions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/test/golden"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

// square returns a picture as a PNG file, another one for every shade.
func square(shade uint8) string {
	m := image.NewGray(image.Rect(0, 0, 2, 2))
	m.SetGray(0, 0, color.Gray{Y: shade})
	var b bytes.Buffer
	png.Encode(&b, m)
	return b.String()
}

// describe lists the splits of a folder, with every image, whether its picture is there, and its captions.
func describe(t *testing.T, dir string) string {
	t.Helper()
	splits, err := Splits(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, split := range splits {
		s, err := Read(dir, split)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s:", split)
		for i, name := range s.Images {
			mark := ""
			if _, err := os.Stat(filepath.Join(ImageDir(dir), name)); err == nil {
				mark = "*"
			}
			fmt.Fprintf(&b, " %s%s(", name, mark)
			for k, c := range s.Of(i) {
				if k > 0 {
					b.WriteString("|")
				}
				if c := s.Captions[c]; c.Tokens != nil {
					fmt.Fprint(&b, c.Tokens, c.ID)
				} else {
					b.WriteString(c.Text)
				}
			}
			b.WriteString(")")
		}
		b.WriteString("; ")
	}
	return strings.TrimSuffix(b.String(), "; ")
}

const (
	karpathy = `{"images": [
		{"filename": "a.jpg", "imgid": 0, "split": "train", "sentids": [0, 1], "sentences": [
			{"tokens": ["a", "dog"], "raw": "A dog.", "imgid": 0, "sentid": 0}, {"tokens": ["one", "dog"], "sentid": 1}]},
		{"filename": "b.jpg", "split": "test", "sentences": [{"raw": "A cat, \"sitting\"", "sentid": 2}]},
		{"filename": "c.jpg", "split": "restval", "filepath": "val2014", "cocoid": 9, "sentences": [{"raw": "Nothing", "sentid": 3}]},
		{"filename": "d.jpg", "split": "val", "sentences": [{"raw": "Snow", "sentid": "x4"}]}], "dataset": "x"}`
	coco = `{"info": {"year": 2014, "x": [[1], {}]}, "images": [{"license": 5, "file_name": "v_7.jpg", "coco_url": "http://a/v_7.jpg", "height": 1, "id": 7}, {"file_name": "v_9.jpg", "id": 9}],
		"licenses": [], "annotations": [{"image_id": 7, "id": 70, "caption": "A dog. "}, {"image_id": 9, "id": 90, "caption": "A cat."}, {"image_id": 7, "id": 71, "caption": "One dog."},
		{"image_id": 8, "id": 80, "caption": "Nobody."}, {"image_id": 9, "id": 91, "caption": 7}]}`
	cocoBackwards = `{"annotations": [{"image_id": "x7", "id": "q", "caption": "A dog."}], "images": [{"file_name": "v_7.jpg", "id": "x7"}]}`
	blip          = `[{"image": "val/a.jpg", "caption": "A dog.", "image_id": "c_1"}, {"image": "/data/b.jpg", "caption": ["A cat.", "One cat."], "image_id": 2}, {"image": "c.jpg"}, {"image": "d.jpg", "caption": []}]`
	tokenFile     = "a.jpg#0\tA dog .\na.jpg#1\tOne dog .\nb.jpg#0\tA cat .\nb.jpg.1#0\tA ghost .\nd.jpg#0\tSnow .\n"
	idLines       = "0 7 8 2;0 0 0 0;2 3 4 5;100;0\n0 9 2;0 0 0;2 3 4;100;1\n0 4 2;0 0 0;2 3 4;200;2\n"
)

func TestPrepare(t *testing.T) {
	for _, c := range []struct {
		name string
		src  map[string]string
		file string // within the source, "" for the folder
		opt  PrepareOptions
		want string
		out  Prepared // the counts of what was left out
	}{
		{name: "Karpathy", src: map[string]string{"dataset_flickr30k.json": karpathy, "results.token": tokenFile},
			want: `train: a.jpg(A dog.|one dog) c.jpg(Nothing); dev: d.jpg(Snow); test: b.jpg(A cat, "sitting")`},
		{name: "Karpathy with pictures", src: map[string]string{"x/dataset.json": karpathy, "x/flickr30k-images/a.jpg": "1", "x/flickr30k-images/b.jpg": "2", "x/val2014/c.jpg": "3"}, file: "x/dataset.json",
			want: `train: a.jpg*(A dog.|one dog) c.jpg*(Nothing); test: b.jpg*(A cat, "sitting")`, out: Prepared{Pictures: 3, Missing: 1}},
		{name: "Flickr8k", src: map[string]string{"Flickr8k.token.txt": tokenFile, "Flickr8k.lemma.token.txt": "a.jpg#0\tdog\n", "Flickr_8k.trainImages.txt": "d.jpg\na.jpg\n", "Flickr_8k.testImages.txt": "b.jpg\nz.jpg\n"},
			want: "train: d.jpg(Snow .) a.jpg(A dog .|One dog .); test: b.jpg(A cat .)", out: Prepared{Bad: 1, Unlisted: 1}},
		{name: "token file with --split", src: map[string]string{"results_20130124.token": tokenFile}, file: "results_20130124.token", opt: PrepareOptions{Fraction: 0.25, Seed: 2},
			want: "train: a.jpg(A dog .|One dog .) b.jpg.1(A ghost .) d.jpg(Snow .); dev: b.jpg(A cat .)"},
		{name: "lists without endings", src: map[string]string{"captions.token": tokenFile, "flickr30k_train.txt": "a\n", "flickr30k_val.txt": "d\n"},
			want: "train: a.jpg(A dog .|One dog .); dev: d.jpg(Snow .)", out: Prepared{Unlisted: 2}},
		{name: "CSV", src: map[string]string{"captions.csv": "id,image,caption\n1,a.png,\"A dog, \"\"Rex\"\"\"\n2,sub/b.png,A cat\n3,a.png,two,columns\n4,,x\n", "images/a.png": "1", "images/sub/b.png": "2", "images/unused.png": "3"},
			want: `train: a.png*(A dog, "Rex") sub/b.png*(A cat)`, out: Prepared{Pictures: 2, Bad: 2}},
		{name: "Kaggle's Flickr30k", src: map[string]string{"results.csv": "image_name| comment_number| comment\na.jpg| 0| A dog | a cat .\na.jpg| 4   A dog runs .\nb.jpg| 1| x\n"},
			want: "train: a.jpg(A dog | a cat .|A dog runs .) b.jpg(x)"},
		{name: "several in a cell", src: map[string]string{"flickr_annotations_30k.csv": "raw,sentids,split,filename,img_id\n\"[\"\"A dog\"\", \"\"[ a\"\"]\",\"[0, 1]\",train,a.jpg,0\nplain,[3],val,b.jpg,1\n"},
			want: "train: a.jpg(A dog|[ a); dev: b.jpg(plain)"},
		{name: "a cell of Python's or NumPy's", src: map[string]string{"captions.csv": "image,caption\na.jpg,\"['A dog.', \"\"It's \\t \\xe9 \\\\ é\"\", 'It\\'s']\"\nb.jpg,\"['x' 'y'\n 'z']\"\nc.jpg,['it']s [x]\nd.jpg,[x]\ne.jpg,['x\n"},
			want: "train: a.jpg(A dog.|It's \t \u00e9 \\ é|It's) b.jpg(x|y|z) c.jpg(['it']s [x]) d.jpg([x]) e.jpg(['x)"},
		{name: "semicolons", src: map[string]string{"captions.csv": "image;caption\na.jpg;A dog, brown\nb.jpg;\"A; cat\"\n"}, want: "train: a.jpg(A dog, brown) b.jpg(A; cat)"},
		{name: "paths of Windows", src: map[string]string{"captions.csv": "image,caption\nx\\a.jpg,A dog\nC:\\y\\b.jpg,A cat\n", "train.txt": "x\\a.jpg\n", "test.txt": "y/b.jpg\n", "x/a.jpg": "1", "b.jpg": "2"},
			want: "train: x/a.jpg*(A dog); test: y/b.jpg*(A cat)", out: Prepared{Pictures: 2}},
		{name: "letter case of pictures", src: map[string]string{"captions.csv": "image,caption\nA.jpg,x\nb.jpg,y\nc,z\n", "p/a.JPG": "1", "p/b.JPG": "2", "p/b.jpg": "3", "p/C.png": "4"},
			want: "train: a.JPG*(x) b.jpg*(y) C.png*(z)", out: Prepared{Pictures: 3}},
		{name: "two images, one picture", src: map[string]string{"captions.csv": "image,caption\nx/a.jpg,A dog\ny/a.jpg,A cat\nz/b.jpg,x\nb.jpg,y\nc.jpg,z\n", "a.jpg": "1", "b.jpg": "2", "p/c.jpg": "3"},
			want: "train: b.jpg*(y) c.jpg*(z)", out: Prepared{Pictures: 2, Missing: 3}},
		{name: "folders of pictures below", src: map[string]string{"captions.csv": "image,caption\nx/a.jpg,A dog\ny/a.jpg,A cat\n/q/y/b.jpg,x\n", "p/x/a.jpg": "1", "p/y/a.jpg": "2", "p/x/b.jpg": "3", "p/y/b.jpg": "4"},
			want: "train: x/a.jpg*(A dog) y/a.jpg*(A cat) q/y/b.jpg*(x)", out: Prepared{Pictures: 3}},
		{name: "splits by the folders of pictures", src: map[string]string{"metadata.jsonl": `{"file_name": "train/a.jpg", "text": "A dog"}` + "\n\n" + `{"file_name": "test/b.jpg", "text": "A cat"}` + "\n" + `{"file_name": "c.jpg", "text": "x"}`},
			want: "train: train/a.jpg(A dog) c.jpg(x); test: test/b.jpg(A cat)"},
		{name: "a folder of pictures is called test", src: map[string]string{"metadata.jsonl": `{"file_name": "test/b.jpg", "text": "A cat"}`}, want: "train: test/b.jpg(A cat)"},
		{name: "odd items", src: map[string]string{"x_train.json": `[null, {"caption": "x"}, {"image": "a.jpg", "caption": ["A dog", null]}, {"image": null, "caption": "y"}, "z", {"image": "b.jpg", "caption": "A cat"}]`},
			want: "train: a.jpg(A dog) b.jpg(A cat)", out: Prepared{Bad: 5}},
		{name: "two images of one id", src: map[string]string{"captions.json": `{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}, {"id": 2, "file_name": "c.jpg"}, {"id": 2, "file_name": "c.jpg"}],
			"annotations": [{"image_id": 1, "id": 1, "caption": "A dog"}, {"image_id": 2, "id": 2, "caption": "A cat"}]}`}, want: "train: c.jpg(A cat)", out: Prepared{Bad: 1}},
		{name: "Latin-1", src: map[string]string{"captions.csv": "image,caption\na.jpg,caf\xe9\nb.jpg,x\n"}, want: "train: a.jpg(caf\xe9) b.jpg(x)", out: Prepared{InvalidUTF8: 1}},
		{name: "tabs", src: map[string]string{"x.txt": "filename\tcaption\na.jpg\tA, \"dog\n"}, file: "x.txt", want: `train: a.jpg(A, "dog)`},
		{name: "own layout", src: map[string]string{"captions.csv": "image,caption\na.jpg,x\nb.jpg,y\n", "train.txt": "b.jpg\n", "test.txt": "a.jpg\n"},
			want: "train: b.jpg(y); test: a.jpg(x)"},
		{name: "beside", src: map[string]string{"a.jpg": "1", "a.txt": "A dog\n\n one dog \n", "sub/b.PNG": "2", "sub/b.txt": "A cat", "c.jpg": "3", "train.jpg": "4", "train.txt": "a train"},
			want: "train: a.jpg*(A dog|one dog) sub/b.PNG*(A cat) train.jpg*(a train)", out: Prepared{Pictures: 3}},
		{name: "beside, folders of splits", src: map[string]string{"images/train/a.jpg": "1", "images/train/a.txt": "A dog", "images/val/a.jpg": "2", "images/val/a.txt": "A cat"},
			want: "train: train/a.jpg*(A dog); dev: val/a.jpg*(A cat)", out: Prepared{Pictures: 2}},
		{name: "ids", src: map[string]string{"train.ids": idLines, "val.all.ids": "0 3 2;0 0 0;2 3 4;300;9\n", "test.all.ids": "0 2;0 0;2 3;100;10\n"},
			want: "train: 200([0 4 2]2); dev: 300([0 3 2]9); test: 100([0 2]10)", out: Prepared{Bad: 2}}, // what is tested is not trained on
		{name: "ids with pictures", src: map[string]string{"train.ids": idLines, "dataset_flickr30k_name_id.txt": "1007\t200\n", "images/100.jpg": "1", "images/1007.jpg": "2"},
			want: "train: 100.jpg*([0 7 8 2]0|[0 9 2]1) 1007.jpg*([0 4 2]2)", out: Prepared{Pictures: 2}},
		{name: "COCO", src: map[string]string{"captions_val2014.json": "\ufeff" + coco, "v_7.jpg": "1", "v_9.jpg": "2"}, file: "captions_val2014.json",
			want: "dev: v_7.jpg*(A dog.|One dog.) v_9.jpg*(A cat.)", out: Prepared{Pictures: 2, Bad: 2}},
		{name: "COCO, captions before images, in its folders", src: map[string]string{"annotations/captions_train2017.json": cocoBackwards, "annotations/instances_train2017.json": "{}",
			"annotations/captions_val2017.json": strings.ReplaceAll(cocoBackwards, "v_7", "w"), "train2017/v_7.jpg": "1", "val2017/w.jpg": "2"},
			want: "train: v_7.jpg*(A dog.); dev: w.jpg*(A dog.)", out: Prepared{Pictures: 2}},
		{name: "COCO of several splits", src: map[string]string{"captions_train.json": cocoBackwards, "captions_test.json": strings.ReplaceAll(cocoBackwards, "v_7", "w")},
			want: "train: v_7.jpg(A dog.); test: w.jpg(A dog.)"},
		{name: "BLIP", src: map[string]string{"coco_karpathy_train.json": blip, "images/a.jpg": "1", "b.jpg": "2", "c.jpg": "3"}, file: "coco_karpathy_train.json",
			want: "train: val/a.jpg*(A dog.) data/b.jpg*(A cat.|One cat.)", out: Prepared{Pictures: 2, Bad: 2}},
		{name: "ALBEF, a file a split", src: map[string]string{"flickr30k_train.json": `[{"image":"x/a.jpg","caption":"A dog","image_id":1},{"image":"x/a.jpg","caption":"One dog","image_id":1}]`,
			"flickr30k_test.json": `[{"image":"x/b.jpg","caption":["A cat","One cat"]}]`}, want: "train: x/a.jpg(A dog|One dog); test: x/b.jpg(A cat|One cat)"},
		{name: "names and captions", src: map[string]string{"all.json": `{"a.jpg": ["A dog", "One dog"], "b.PNG": "A cat", "version": [2]}`}, file: "all.json", want: "train: a.jpg(A dog|One dog) b.PNG(A cat)"},
		{name: "a list below a key", src: map[string]string{"x.json": `{"version": 1, "data": [{"file_name": "a.jpg", "text": "A dog", "id": 1.5}]}`}, file: "x.json", want: "train: a.jpg(A dog)"},
		{name: "sentences that are texts", src: map[string]string{"x.json": `[{"img": "a.jpg", "sentences": ["A dog", "One dog"]}]`}, file: "x.json", want: "train: a.jpg(A dog|One dog)"},
		{name: "images by their ids", src: map[string]string{"x.json": `[{"image_id": 17, "caption": "A dog"}, {"image_id": "18", "caption": "A cat"}]`, "17.jpg": "1", "18.jpg": "2"}, file: "x.json",
			want: "train: 17.jpg*(A dog) 18.jpg*(A cat)", out: Prepared{Pictures: 2}},
		{name: "the first without caption", src: map[string]string{"x.json": `[{"image": "a.jpg", "caption": null}, {"image": "b.jpg", "caption": "A cat"}]`}, file: "x.json", want: "train: b.jpg(A cat)", out: Prepared{Bad: 1}},
		{name: "imagefolder", src: map[string]string{"metadata.jsonl": "\ufeff" + `{"file_name":"a.jpg","text":"A dog","id":1,"extra":{}}` + "\n" + `{"file_name":"sub/b.jpg","text":["A cat"]}` + "\n", "a.jpg": "1", "sub/b.jpg": "2"},
			want: "train: a.jpg*(A dog) sub/b.jpg*(A cat)", out: Prepared{Pictures: 2}},
		{name: "imagefolder with splits", src: map[string]string{"train/metadata.jsonl": `{"file_name":"1.jpg","text":"A dog"}`, "test/metadata.jsonl": `{"file_name":"1.jpg","text":"A cat"}`, "train/1.jpg": "1", "test/1.jpg": "2"},
			want: "train: train/1.jpg*(A dog); test: test/1.jpg*(A cat)", out: Prepared{Pictures: 2}},
		{name: "imagefolder with splits, CSV", src: map[string]string{"train/metadata.csv": "file_name,text\n1.jpg,A dog\n", "validation/metadata.csv": "file_name,text\n1.jpg,A cat\n", "train/1.jpg": "1", "validation/1.jpg": "2"},
			want: "train: train/1.jpg*(A dog); dev: validation/1.jpg*(A cat)", out: Prepared{Pictures: 2}},
		{name: "open_clip", src: map[string]string{"train.tsv": "filepath\ttitle\n/data/a.jpg\tA dog\n", "val.tsv": "filepath\ttitle\nb.jpg\tA cat\n", "a.jpg": "1", "b.jpg": "2"},
			want: "train: data/a.jpg*(A dog); dev: b.jpg*(A cat)", out: Prepared{Pictures: 2}},
		{name: "open_clip, CSV", src: map[string]string{"x.csv": "\ufefffilepath,title\na.jpg,\"A dog, big\"\n"}, want: "train: a.jpg(A dog, big)"},
		{name: "Kaggle's Flickr8k", src: map[string]string{"captions.txt": "image,caption\na.jpg,A dog .\na.jpg,\"A dog , big .\"\n", "Images/a.jpg": "1"}, want: "train: a.jpg*(A dog .|A dog , big .)", out: Prepared{Pictures: 1}},
		{name: "JSON lines called JSON", src: map[string]string{"data.json": `{"image":"a.jpg","caption":"A dog"}` + "\n" + `{"image":"b.jpg","captions":["A cat"]}` + "\n"}, file: "data.json", want: "train: a.jpg(A dog) b.jpg(A cat)"},
		{name: "a list called JSON lines", src: map[string]string{"data.jsonl": `[{"image":"a.jpg","caption":"A dog"}]`}, file: "data.jsonl", want: "train: a.jpg(A dog)"},
		{name: "JSON lines", src: map[string]string{"captions.jsonl": `{"image":"a.jpg","caption":"A dog","id":"x"}` + "\n" + `{"image":"../b.jpg","caption":"A cat"}` + "\n{\n"},
			want: "train: a.jpg(A dog)", out: Prepared{Bad: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, dst := folder(t, c.src), filepath.Join(t.TempDir(), "out")
			problems := 0
			c.opt.Problem = func(error) { problems++ }
			got, err := Prepare(context.Background(), filepath.Join(src, c.file), dst, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			if s := describe(t, dst); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if got.Pictures != c.out.Pictures || got.Bad != c.out.Bad || got.Missing != c.out.Missing || got.Unlisted != c.out.Unlisted || got.InvalidUTF8 != c.out.InvalidUTF8 || problems != got.Bad+got.Missing {
				t.Errorf("%+v, want %+v; told of %d", got, c.out, problems)
			}
			// What was prepared is prepared again without loss.
			again := filepath.Join(t.TempDir(), "again")
			if _, err := Prepare(context.Background(), dst, again, PrepareOptions{}); err != nil {
				t.Fatal(err)
			}
			if s := describe(t, again); s != c.want {
				t.Errorf("again %s\nwant  %s", s, c.want)
			}
		})
	}
}

// lfs is what Git leaves in place of a large file that was not fetched.
const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 12345\n"

func TestPrepareErrors(t *testing.T) {
	for _, c := range []struct {
		src  map[string]string
		opt  PrepareOptions
		want string
	}{
		{map[string]string{}, PrepareOptions{}, "has no captions of a known form"},
		{map[string]string{"a.csv": "x,y\n1,2\n"}, PrepareOptions{}, "a.csv:1: is no header with a column image and a column caption"},
		{map[string]string{"a.csv": "image,caption\n", "b.csv": "image,caption\n"}, PrepareOptions{}, "several files of captions: a.csv and b.csv"},
		{map[string]string{"a.csv": "image,caption\n../passwd,x\n", "a.png": ""}, PrepareOptions{Problem: func(error) {}}, "has no captions that can be used"},
		{map[string]string{"a.csv": "image,caption\na,\"x\n"}, PrepareOptions{}, "a.csv:2: is no valid CSV"},
		{map[string]string{"a.csv": "image,caption\na,x\n"}, PrepareOptions{Fraction: 0.5}, "holding some out needs two"},
		{map[string]string{"a.csv": "image,caption\na,x\nb,y\n"}, PrepareOptions{Fraction: 2}, "between 0 and 1"},
		{map[string]string{"a.csv": "image,caption\na,x\nb,y\n", "train.txt": "a\n", "dev.txt": "b\n"}, PrepareOptions{Fraction: 0.5}, "has a dev split already"},
		{map[string]string{"a.csv": "image,caption\na,x\n", "train.txt": "z\n"}, PrepareOptions{}, "have no image with a caption"},
		{map[string]string{"a.csv": "image,caption\na,x\n", "train.txt": "a\na\n"}, PrepareOptions{}, "train.txt:2: image \"a\" is listed in line 1 already"},
		{map[string]string{"a.csv": "image,caption\na,x\n", "my_val.txt": "a\n", "dev.txt": "a\n"}, PrepareOptions{}, "two lists of the images of dev"},
		{map[string]string{"dataset.json": `{"images": [{"filename": "a.jpg", "sentences": [{"raw": "x"}]}`}, PrepareOptions{}, "dataset.json: is not valid as JSON after 1 items: it ends within a value"},
		{map[string]string{"dataset.json": `{"annotations": [], "info": {}}`}, PrepareOptions{}, `is JSON of a form that is not read: an object with the keys "annotations", "info"; read are`},
		{map[string]string{"dataset.json": `[]`}, PrepareOptions{}, "form that is not read: it is empty"},
		{map[string]string{"dataset.json": `{"images": [{"id": 1, "file_name": "a.jpg"}]}`}, PrepareOptions{}, `not read: "images" without captions`},
		{map[string]string{"dataset.json": `{"images": [], "annotations": [{"image_id": 1, "segmentation": [], "bbox": [1], "id": 2}]}`}, PrepareOptions{}, `"annotations" is a list, and its annotation 1 is an object with the keys "bbox", "id", "image_id", "segmentation"`},
		{map[string]string{"dataset.json": `[{"id": "1", "conversations": []}]`}, PrepareOptions{}, `a list, and its item 1 is an object with the keys "conversations", "id"`},
		{map[string]string{"dataset.json": `{"annotations": [{"image_id": 1, "caption": "x"}]}`}, PrepareOptions{}, `"annotations" without the "images" that they are of`},
		{map[string]string{"dataset.json": `[{"image": "a", "question": "x"}]`}, PrepareOptions{Problem: func(error) {}}, `a list of images without captions, and in it an object with the keys "image", "question"`},
		{map[string]string{"dataset.json": `[["a.jpg", "x"]]`}, PrepareOptions{}, "a list, and its item 1 is a list, no object"},
		{map[string]string{"dataset.json": `[{"image": "a", "image_path": "b", "caption": "x"}]`}, PrepareOptions{}, `item 1: has "image" and "image_path", and either could be the image`},
		{map[string]string{"dataset.json": `7`}, PrepareOptions{}, "one value"},
		{map[string]string{"dataset.json": lfs}, PrepareOptions{}, "dataset.json: is a Git LFS pointer"},
		{map[string]string{"a.csv": lfs}, PrepareOptions{}, "a.csv: is a Git LFS pointer"},
		{map[string]string{"metadata.jsonl": "<!DOCTYPE html>"}, PrepareOptions{}, "metadata.jsonl: is a web page"},
		{map[string]string{"a.csv": "image,caption,image_path\n"}, PrepareOptions{}, `a.csv:1: has "image" and "image_path", and either could be the image`},
		{map[string]string{"train.csv": "image,caption\n", "train2.csv": "image,caption\n"}, PrepareOptions{}, "several files of captions: train.csv and train2.csv"},
		{map[string]string{"train.json": "[]", "x_train.json": "[]"}, PrepareOptions{}, "several files of captions: train.json and x_train.json"},
		{map[string]string{"train.ids": idLines, "dataset_flickr30k_name_id.txt": "1\n", "1.jpg": ""}, PrepareOptions{}, "name_id.txt:1: has 1 columns"},
	} {
		dst := filepath.Join(t.TempDir(), "out")
		_, err := Prepare(context.Background(), folder(t, c.src), dst, c.opt)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.src, err, c.want)
		}
		if _, err := os.Lstat(dst); err == nil {
			t.Errorf("%v: the folder was written", c.src)
		}
	}
	dst := t.TempDir()
	if _, err := Prepare(context.Background(), dst, dst, PrepareOptions{}); err == nil || !strings.Contains(err.Error(), "exists; choose a new folder") {
		t.Errorf("an existing folder: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	src := folder(t, map[string]string{"a.csv": "image,caption\na.jpg,x\nb.jpg,y\n", "a.jpg": "", "b.jpg": ""})
	dst = filepath.Join(dst, "out")
	if _, err := Prepare(ctx, src, dst, PrepareOptions{}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := os.Lstat(dst); err == nil {
		t.Error("a cancelled run left its folder")
	}
}

// TestPicturesTwice: a second name of a picture is the same picture, another file of that name is not.
func TestPicturesTwice(t *testing.T) {
	src := folder(t, map[string]string{"a.csv": "image,caption\na.jpg,x\nb.jpg,y\n", "photos/a.jpg": "1", "photos/b.jpg": "2", "thumbnails/b.jpg": "3"})
	if _, err := Prepare(context.Background(), src, filepath.Join(src, "out"), PrepareOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := describe(t, filepath.Join(src, "out")); got != "train: a.jpg*(x)" {
		t.Errorf("%s", got)
	}
	var told []string
	p, err := Prepare(context.Background(), filepath.Join(src, "a.csv"), filepath.Join(src, "out2"), PrepareOptions{Problem: func(err error) { told = append(told, err.Error()) }})
	if err != nil || p.Pictures != 1 || p.Missing != 1 || len(told) != 1 || !strings.Contains(told[0], `"b.jpg"`) {
		t.Errorf("%+v, %v, %q", p, err, told)
	}
}

// TestLinks: folders and pictures may be links; links to nowhere and in circles do no harm.
func TestLinks(t *testing.T) {
	elsewhere := folder(t, map[string]string{"a.jpg": "1", "x/b.jpg": "2"})
	src := folder(t, map[string]string{"captions.csv": "image,caption\na.jpg,x\nb.jpg,y\nc.jpg,z\n"})
	for link, to := range map[string]string{"images": elsewhere, "b2.jpg": filepath.Join(elsewhere, "x", "b.jpg"), "c.jpg": filepath.Join(elsewhere, "none"), "circle": src} {
		if err := os.Symlink(to, filepath.Join(src, link)); err != nil {
			t.Skipf("not run: no links here: %v", err)
		}
	}
	dst := filepath.Join(t.TempDir(), "out")
	if _, err := Prepare(context.Background(), src, dst, PrepareOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := describe(t, dst); got != "train: a.jpg*(x) b.jpg*(y)" {
		t.Errorf("%s", got)
	}
	if info, err := os.Lstat(filepath.Join(ImageDir(dst), "b.jpg")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}

// TestHoldOut: splits are kept apart by image, every caption is somewhere, and the same
// seed gives the same.
func TestHoldOut(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		images := rapid.IntRange(2, 30).Draw(r, "images")
		p := preparation{opt: PrepareOptions{Fraction: rapid.Float64Range(0.01, 0.99).Draw(r, "fraction"), Seed: rapid.Uint64().Draw(r, "seed")}}
		hold := func() map[string]string {
			p.all = &collection{split: map[string]string{}}
			for i := range images {
				name := fmt.Sprint(i)
				p.all.split[name] = "train"
				p.all.order = append(p.all.order, name)
			}
			if err := p.holdOut(); err != nil {
				r.Fatal(err)
			}
			return p.all.split
		}
		first, second := hold(), hold()
		dev := 0
		for _, split := range first {
			if split == "dev" {
				dev++
			}
		}
		if !reflect.DeepEqual(first, second) || len(first) != images || dev < 1 || dev >= images {
			r.Errorf("%d of %d images held out: %v, %v", dev, images, first, second)
		}
	})
}

// TestGoldenCaptions compares captions of ids with what the reference's readers make of them.
func TestGoldenCaptions(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("retrieval.json") {
			t.Skip("not run: the case has no retrieval.json")
		}
		var file struct {
			Lines    []string `json:"caption_lines"`
			Captions map[string]struct {
				IDs      map[string][]json.RawMessage `json:"caption_ids_dict"`
				Map      map[string][]int             `json:"image_sent_map"`
				Captions []int                        `json:"train_caption_ids"`
				Images   []int                        `json:"train_image_list"`
			}
		}
		c.JSON(t, "retrieval.json", &file)
		if len(file.Captions) == 0 {
			t.Fatal("retrieval.json holds no captions")
		}
		dst := filepath.Join(t.TempDir(), "out")
		src := folder(t, map[string]string{"train.ids": strings.Join(file.Lines, "\n")})
		if _, err := Prepare(context.Background(), src, dst, PrepareOptions{}); err != nil {
			t.Fatal(err)
		}
		s, err := Read(dst, "train")
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range file.Captions {
			limit := 0
			if _, err := fmt.Sscanf(name, "max_seq_len=%d,", &limit); err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			var order []int
			for i, caption := range s.Captions {
				golden := want.IDs[caption.ID] // tokens, sentences, positions, image
				if len(golden) != 4 {
					t.Fatalf("caption %s is not in the golden's", caption.ID)
				}
				var tokens []int32
				if err := json.Unmarshal(golden[0], &tokens); err != nil {
					t.Fatal(err)
				}
				if got := Truncate(caption.Tokens, limit); !slices.Equal(got, tokens) {
					t.Errorf("%s: caption %s is %v, want %v", name, caption.ID, got, tokens)
				}
				if string(golden[3]) != s.Images[caption.Image] {
					t.Errorf("%s: caption %s is of image %s, want %s", name, caption.ID, s.Images[caption.Image], golden[3])
				}
				if fmt.Sprint(want.Captions[i]) != caption.ID {
					t.Errorf("%s: caption %d is %s, want %d", name, i, caption.ID, want.Captions[i])
				}
				order = append(order, want.Captions[i])
			}
			if len(order) != len(want.Captions) || len(s.Images) != len(want.Images) {
				t.Errorf("%s: %d captions of %d images", name, len(order), len(s.Images))
			}
			for i, image := range want.Images {
				var of []int
				for _, c := range s.Of(i) {
					of = append(of, order[c])
				}
				if fmt.Sprint(image) != s.Images[i] || !slices.Equal(of, want.Map[s.Images[i]]) {
					t.Errorf("%s: image %d is %s with captions %v, want %d with %v", name, i, s.Images[i], of, image, want.Map[fmt.Sprint(image)])
				}
			}
		}
	})
}
