package checkpoint

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// The headers are read token by token: encoding/json into a map would let the
// last of two equal keys win, and two programs could then disagree about what a
// file holds.

// walkObject reads a JSON object and calls value for every key, which must
// consume the key's value. A key that occurs twice is an error.
func walkObject(dec *json.Decoder, value func(key string) error) error {
	if err := expect(dec, json.Delim('{'), "an object"); err != nil {
		return err
	}
	seen := make(map[string]struct{})
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key := token.(string) // the decoder admits only strings here
		if _, ok := seen[key]; ok {
			return fmt.Errorf("key %q occurs twice", key)
		}
		seen[key] = struct{}{}
		if err := value(key); err != nil {
			return err
		}
	}
	_, err := dec.Token() // the closing brace
	return err
}

// readCounts reads an array of at most limit non-negative integers that fit an int.
func readCounts(dec *json.Decoder, limit int) ([]int, error) {
	if err := expect(dec, json.Delim('['), "an array"); err != nil {
		return nil, err
	}
	counts := []int{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%v is not a number", token)
		}
		n, err := strconv.ParseUint(number.String(), 10, strconv.IntSize-1)
		if err != nil {
			return nil, fmt.Errorf("%s is not a non-negative integer that fits %d bits", number, strconv.IntSize-1)
		}
		if len(counts) == limit {
			return nil, fmt.Errorf("more than %d numbers", limit)
		}
		counts = append(counts, int(n))
	}
	_, err := dec.Token()
	return counts, err
}

// readString reads a string.
func readString(dec *json.Decoder) (string, error) {
	token, err := dec.Token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%v is not a string", token)
	}
	return s, nil
}

// readStrings reads an object whose values are strings.
func readStrings(dec *json.Decoder) (map[string]string, error) {
	m := make(map[string]string)
	err := walkObject(dec, func(key string) error {
		s, err := readString(dec)
		if err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		m[key] = s
		return nil
	})
	return m, err
}

func expect(dec *json.Decoder, want json.Delim, what string) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%v where %s should begin", token, what)
	}
	return nil
}
