package fetch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
)

// state is what lies beside a file that is not whole: what it is of, and how many bytes of each chunk have come. A count is written after
// the bytes, so a process that is killed leaves one that is not too large.
type state struct {
	Version   int    `json:"version"`
	URL       string `json:"url"`
	Sum       string `json:"sum,omitempty"`
	Size      int64  `json:"size"`
	Chunk     int64  `json:"chunk"`
	Validator string `json:"validator,omitempty"` // of the server: ETag or Last-Modified

	counts []int64
}

const (
	stateVersion = 1
	stateHead    = 8 << 10 // bytes of JSON, filled with spaces; the counts follow
	mostChunks   = 1 << 20
)

var errState = errors.New("is no state of a fetch")

func newState(url, sum string, size, chunk int64) *state {
	s := &state{Version: stateVersion, URL: url, Sum: sum, Size: size, Chunk: max(chunk, (size+mostChunks-1)/mostChunks)}
	s.counts = make([]int64, s.chunks())
	return s
}

func (s *state) chunks() int64 { return (s.Size + s.Chunk - 1) / s.Chunk }

// length is that of a chunk.
func (s *state) length(chunk int64) int64 { return min(s.Chunk, s.Size-chunk*s.Chunk) }

// have is how many bytes have come.
func (s *state) have() (n int64) {
	for _, c := range s.counts {
		n += c
	}
	return n
}

// end is behind the last byte that has come.
func (s *state) end() (end int64) {
	for i, c := range s.counts {
		if c > 0 {
			end = int64(i)*s.Chunk + c
		}
	}
	return end
}

// bytes is the state as a file.
func (s *state) bytes() ([]byte, error) {
	head, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if len(head) >= stateHead {
		return nil, errState
	}
	raw := bytes.Repeat([]byte{' '}, stateHead)
	copy(raw, head)
	for _, c := range s.counts {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(c))
	}
	return raw, nil
}

// place is where in the file the count of a chunk is.
func place(chunk int64) int64 { return stateHead + 8*chunk }

// readState reads a state.
func readState(r io.Reader) (*state, error) {
	head := make([]byte, stateHead)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, errState
	}
	var s state
	dec := json.NewDecoder(bytes.NewReader(head))
	dec.DisallowUnknownFields()
	if dec.Decode(&s) != nil || s.Version != stateVersion || s.Size < 0 || s.Chunk < 1 || s.Size/s.Chunk >= mostChunks {
		return nil, errState
	}
	counts := make([]byte, 8*s.chunks())
	if _, err := io.ReadFull(r, counts); err != nil {
		return nil, errState
	}
	s.counts = make([]int64, s.chunks())
	for i := range s.counts {
		if s.counts[i] = int64(binary.LittleEndian.Uint64(counts[8*i:])); s.counts[i] < 0 || s.counts[i] > s.length(int64(i)) {
			return nil, errState
		}
	}
	return &s, nil
}
