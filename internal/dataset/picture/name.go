package picture

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A picture has two names: that of its file, which some systems let be any bytes, and its id,
// which goes through JSON, CSV and pages and is therefore UTF-8.

// ID returns the id of the file with a slash-separated name: the name itself if it is UTF-8,
// else with % and two hexadecimal digits in place of each byte that is not, and of each %.
func ID(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var id strings.Builder
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && size == 1 || r == '%' {
			fmt.Fprintf(&id, "%%%02X", name[0])
		} else {
			id.WriteString(name[:size])
		}
		name = name[size:]
	}
	return id.String()
}

// Name returns the file's name of which an id was made.
func Name(id string) string {
	if name, ok := unescape(id); ok {
		return name
	}
	return id
}

// unescape undoes [ID]; ok is false of what it did not write.
func unescape(id string) (name string, ok bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(id, "%")
		b.WriteString(before)
		if !found {
			break
		}
		if len(after) < 2 {
			return "", false
		}
		v, err := strconv.ParseUint(after[:2], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(v))
		id = after[2:]
	}
	return b.String(), !utf8.ValidString(b.String())
}

// Key returns what names of one picture have in common, however they are written: "./b.jpg" and
// "b.jpg", an accent that is a character of its own and one that is not (NFD and NFC).
func Key(name string) string {
	if name == "" {
		return ""
	}
	return path.Clean(norm.NFC.String(name))
}

// Find returns the path of the file in the folder dir that a name or id stands for: the file of
// that name, or the one whose name has the same [Key] or this [ID]. If there is none, it is the
// path that the file should have; one that leads out of the folder is an error.
func Find(dir, name string) (string, error) {
	local := filepath.FromSlash(path.Clean(name))
	if name == "" || !filepath.IsLocal(local) {
		return "", fmt.Errorf("%s: picture %q lies outside the folder", dir, name)
	}
	plain := filepath.Join(dir, local)
	if exists(plain) {
		return plain, nil
	}
	if original, ok := unescape(name); ok {
		if file := filepath.Join(dir, filepath.FromSlash(original)); filepath.IsLocal(filepath.FromSlash(original)) && exists(file) {
			return file, nil
		}
	}
	found := dir
	for part := range strings.SplitSeq(filepath.ToSlash(local), "/") {
		next := filepath.Join(found, part)
		for _, form := range []norm.Form{norm.NFC, norm.NFD} {
			if exists(next) {
				break
			}
			next = filepath.Join(found, form.String(part))
		}
		if !exists(next) {
			return plain, nil
		}
		found = next
	}
	return found, nil
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}
