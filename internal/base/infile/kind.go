package infile

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// HeadBytes are enough of a file for [Foreign] and [Binary].
const HeadBytes = 512

// Foreign recognises, by a file's first bytes, what a failed download leaves under the
// file's own name: a Git LFS pointer, or a web page. The error is an [*Error]; nil if it
// is neither.
func Foreign(path string, head []byte) error {
	head = bytes.TrimLeft(TrimMark(head[:min(len(head), HeadBytes)]), " \t\r\n")
	if bytes.HasPrefix(head, []byte("version https://git-lfs.github.com/spec/")) {
		return &Error{File: path, Problem: "is a Git LFS pointer, not the file itself", Remedy: "fetch the file with 'git lfs pull'"}
	}
	lower := bytes.ToLower(head)
	for _, begin := range []string{"<!doctype html", "<html", "<head", "<body"} {
		rest, found := bytes.CutPrefix(lower, []byte(begin))
		if found && (len(rest) == 0 || !('a' <= rest[0] && rest[0] <= 'z')) { // "<header>" is a text like others
			return &Error{File: path, Problem: "is a web page, not the file itself", Remedy: "download it again, with the link of the file and not of its page"}
		}
	}
	return nil
}

// binaryKinds are the forms that are met where a text was meant, with what to do.
var binaryKinds = []struct{ magic, name, remedy string }{
	{"\x1f\x8b", "compressed with gzip", "unpack it with gunzip first"},
	{"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it with 'zstd -d' first"},
	{"\xfd7zXZ\x00", "compressed with xz", "unpack it with 'xz -d' first"},
	{"BZh", "compressed with bzip2", "unpack it with bunzip2 first"},
	{"\x04\x22\x4d\x18", "compressed with lz4", "unpack it with 'lz4 -d' first"},
	{"PK\x03\x04", "a ZIP archive", "unpack it first"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a file of Microsoft Office", "save it as CSV in UTF-8 there, or as plain text"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"},
	{"PAR1", "a Parquet file", "save it as JSON lines first, with Python: pandas.read_parquet(FILE).to_json(NAME, orient='records', lines=True)"},
	{"ARROW1", "an Arrow file", "save it as JSON lines first, with Python: datasets.Dataset.from_file(FILE).to_json(NAME)"},
	{"\x89HDF\r\n\x1a\n", "an HDF5 file", "save its content as text first"},
	{"\x93NUMPY", "a NumPy array", "save its content as text first"},
	{"SQLite format 3\x00", "an SQLite database", "export the table as CSV first"},
	{"%PDF-", "a PDF document", "save its text first"},
	{"\xff\xfe", "text in UTF-16", "save it as UTF-8"},
	{"\xfe\xff", "text in UTF-16", "save it as UTF-8"},
	{"\x89PNG\r\n\x1a\n", "a PNG picture", "name a file of text"},
	{"\xff\xd8\xff", "a JPEG picture", "name a file of text"},
}

// Binary recognises, by its first bytes, a file that is no text: compressed ones, archives,
// tables of other programs, pictures, UTF-16. Readers of text call it before they take such
// bytes for words. The error is an [*Error]; nil if nothing is known of the bytes.
func Binary(path string, head []byte) error {
	for _, k := range binaryKinds {
		if !bytes.HasPrefix(head, []byte(k.magic)) {
			continue
		}
		// "BZh" and "PAR1" also begin words: a compressed file goes on with a digit and a
		// magic number, a table with bytes that no text has.
		if k.magic == "BZh" && (len(head) < 10 || !bytes.Equal(head[4:10], []byte("1AY&SY"))) {
			continue
		}
		if k.magic == "PAR1" && bytes.IndexFunc(head, control) < 0 {
			continue
		}
		if k.magic == "PK\x03\x04" && slices.Contains([]string{".xlsx", ".xlsm", ".ods"}, strings.ToLower(filepath.Ext(path))) {
			k.name, k.remedy = "a spreadsheet", "save it as CSV in UTF-8 there"
		}
		return &Error{File: path, Problem: fmt.Sprintf("is %s, not plain text", k.name), Remedy: k.remedy}
	}
	return nil
}

func control(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\ufffd' }
