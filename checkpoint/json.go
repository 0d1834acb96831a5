package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The headers are read value by value: encoding/json into a map would let the last of two equal
// keys win, and two programs could then disagree about what a file holds. And by a scanner of their
// own, since a header may have hundreds of thousands of tensors, for which encoding/json's takes ten
// times as long.

// Bounds of one object of a header. The largest models have some hundred thousand tensors in all
// their shards, and a file few thousand; one that has more than this only costs time and memory.
const (
	maxIndexed  = 1 << 19
	maxEntries  = 1 << 18
	maxMetadata = 1 << 16
	maxKey      = 1 << 20 // bytes; a name goes into tables and messages
	maxDepth    = 64
)

// scanner is a place in JSON, which is UTF-8.
type scanner struct {
	data []byte
	at   int
}

var errEarly = fmt.Errorf("JSON ends too early: %w", io.ErrUnexpectedEOF)

// next passes over white space and returns the byte there; 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take passes over white space and then over c, if it is there.
func (s *scanner) take(c byte) bool {
	if s.next() != c || s.at == len(s.data) {
		return false
	}
	s.at++
	return true
}

// expect is take for what must be there.
func (s *scanner) expect(c byte, what string) error {
	if s.take(c) {
		return nil
	}
	if s.at == len(s.data) {
		return errEarly
	}
	return fmt.Errorf("%q where %s should be", s.data[s.at], what)
}

// object reads an object of at most limit keys and calls value for each, which must read the key's
// value. A key that occurs twice is an error.
func (s *scanner) object(limit int, value func(key string) error) error {
	if err := s.expect('{', "the beginning of an object"); err != nil {
		return err
	}
	// The few keys of most objects are compared with each other, without a table.
	var few [8]string
	var many map[string]struct{}
	for n := 0; ; n++ {
		if n == 0 && s.take('}') {
			return nil
		}
		key, err := s.text()
		if err != nil {
			return err
		}
		if len(key) > maxKey {
			return fmt.Errorf("a name of %d bytes, want %d at most", len(key), maxKey)
		}
		twice := false
		for _, k := range few[:min(n, len(few))] {
			twice = twice || k == key
		}
		if n < len(few) {
			few[n] = key
		} else {
			if many == nil {
				many = map[string]struct{}{}
			}
			if _, ok := many[key]; ok {
				twice = true
			}
			many[key] = struct{}{}
		}
		switch {
		case twice:
			return fmt.Errorf("key %q occurs twice", key)
		case n == limit:
			return fmt.Errorf("more than %d keys in one object, which no checkpoint needs", limit)
		}
		if err := s.expect(':', "a colon"); err != nil {
			return err
		}
		if err := value(key); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if err := s.expect(',', "a comma or the end of the object"); err != nil {
			return err
		}
	}
}

// text reads a string.
func (s *scanner) text() (string, error) {
	if err := s.expect('"', "a string"); err != nil {
		return "", err
	}
	start, escaped := s.at, false
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			raw := s.data[start:s.at]
			s.at++
			if !escaped {
				return string(raw), nil
			}
			var decoded string // the library knows the escapes
			if err := json.Unmarshal(s.data[start-1:s.at], &decoded); err != nil {
				return "", err
			}
			return decoded, nil
		case c == '\\':
			escaped = true
			s.at++
		case c < ' ':
			return "", fmt.Errorf("the control character %q in a string", c)
		}
	}
	return "", errEarly
}

// counts reads an array of at most limit non-negative integers that fit an int.
func (s *scanner) counts(limit int) ([]int, error) {
	if err := s.expect('[', "the beginning of an array"); err != nil {
		return nil, err
	}
	counts := []int{}
	if s.take(']') {
		return counts, nil
	}
	for {
		number, err := s.number()
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseUint(number, 10, strconv.IntSize-1)
		if err != nil || number[0] == '0' && len(number) > 1 {
			return nil, fmt.Errorf("%s is not a non-negative integer that fits %d bits", number, strconv.IntSize-1)
		}
		if len(counts) == limit {
			return nil, fmt.Errorf("more than %d numbers", limit)
		}
		counts = append(counts, int(n))
		if s.take(']') {
			return counts, nil
		}
		if err := s.expect(',', "a comma or the end of the array"); err != nil {
			return nil, err
		}
	}
}

// number reads the characters of a number.
func (s *scanner) number() (string, error) {
	s.next()
	start := s.at
	for s.at < len(s.data) && strings.IndexByte("+-.0123456789eE", s.data[s.at]) >= 0 {
		s.at++
	}
	switch {
	case s.at > start:
		return string(s.data[start:s.at]), nil
	case s.at == len(s.data):
		return "", errEarly
	}
	return "", fmt.Errorf("%q where a number should be", s.data[s.at])
}

// texts reads an object of at most limit keys whose values are strings.
func (s *scanner) texts(limit int) (map[string]string, error) {
	m := make(map[string]string)
	err := s.object(limit, func(key string) error {
		value, err := s.text()
		if err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		m[key] = value
		return nil
	})
	return m, err
}

// skip passes over any value.
func (s *scanner) skip(depth int) error {
	if depth == 0 {
		return fmt.Errorf("more than %d values in one another", maxDepth)
	}
	switch s.next() {
	case '{':
		return s.object(maxMetadata, func(string) error { return s.skip(depth - 1) })
	case '[':
		s.at++
		for first := true; !s.take(']'); first = false {
			if !first {
				if err := s.expect(',', "a comma or the end of the array"); err != nil {
					return err
				}
			}
			if err := s.skip(depth - 1); err != nil {
				return err
			}
		}
		return nil
	case '"':
		_, err := s.text()
		return err
	}
	for _, word := range []string{"null", "true", "false"} {
		if strings.HasPrefix(string(s.data[s.at:min(len(s.data), s.at+len(word))]), word) {
			s.at += len(word)
			return nil
		}
	}
	number, err := s.number()
	if err == nil && !json.Valid([]byte(number)) {
		err = fmt.Errorf("%q is no value", number)
	}
	return err
}

// whole reads the one value that data is.
func whole(data []byte, read func(s *scanner) error) error {
	if !utf8.Valid(data) {
		return errors.New("is not UTF-8")
	}
	s := &scanner{data: data}
	if err := read(s); err != nil {
		return err
	}
	if s.next(); s.at < len(data) { // writers pad with spaces
		return fmt.Errorf("%d bytes after the JSON object", len(data)-s.at)
	}
	return nil
}
