package oip

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/unimo-go/unimo/internal/serve/oip/inferencepb"
)

// sound checks that a request that was decoded holds no more than what it was made of.
func sound(t *testing.T, q *request, size int) {
	t.Helper()
	for _, in := range q.inputs {
		n := int64(1)
		for _, d := range in.shape {
			n *= d
		}
		if have := int64(len(in.bytes) + len(in.ints)); have != n || n > int64(size) {
			t.Errorf("input %q has %d values, the shape %v, and came of %d bytes", in.name, have, in.shape, size)
		}
		total := 0
		for _, v := range in.bytes {
			total += len(v)
		}
		if total > 3*size { // a byte that is no UTF-8 becomes three
			t.Errorf("input %q has %d bytes of %d", in.name, total, size)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"inputs":[{"name":"text","datatype":"BYTES","shape":[2],"data":["a","b"]}],"parameters":{"timeout":1}}`), "")
	f.Add([]byte(`{"inputs":[{"name":"input_ids","datatype":"INT64","shape":[2,2],"data":[[1,2],[3,4]]}],"outputs":[{"name":"embedding","parameters":{"binary_data":true}}]}`), "")
	head := `{"inputs":[{"name":"text","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":9}},{"name":"input_ids","datatype":"INT32","shape":[1,1],"parameters":{"binary_data_size":4}}]}`
	f.Add([]byte(head+"\x01\x00\x00\x00a\x00\x00\x00\x00\x07\x00\x00\x00"), fmt.Sprint(len(head)))
	f.Fuzz(func(t *testing.T, body []byte, length string) {
		q, _, err := decode(body, length, limits)
		if (q == nil) != (err != nil) {
			t.Fatalf("%v, %v", q, err)
		}
		if err == nil {
			sound(t, q, len(body))
			if b, err := newBatch(q.inputs, q.parameters, limits); err == nil && b.inputs["input_ids"] != nil {
				b.tokens(0)
			}
		}
	})
}

func FuzzReadRaw(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00a\x00\x00\x00\x00"), "BYTES", int64(2), int64(1))
	f.Add([]byte("12345678"), "INT64", int64(1), int64(1))
	f.Add([]byte("12345678"), "INT32", int64(1), int64(2))
	f.Fuzz(func(t *testing.T, raw []byte, datatype string, rows, columns int64) {
		in := tensor{name: "x", datatype: datatype, shape: []int64{rows, columns}}
		n, err := volume("x", in.shape, limits.Body)
		if err != nil {
			return
		}
		if err := in.readRaw(raw, n); err != nil {
			return
		}
		sound(t, &request{inputs: []tensor{in}}, len(raw))
		if back := in.raw(); datatype == "BYTES" && string(back) != string(raw) {
			t.Errorf("%q becomes %q", raw, back)
		}
	})
}

func FuzzGRPC(f *testing.F) {
	for _, r := range []*inferencepb.ModelInferRequest{
		{ModelName: "m", Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{{Name: "text", Datatype: "BYTES", Shape: []int64{1}}}, RawInputContents: [][]byte{[]byte("\x01\x00\x00\x00a")}},
		{ModelName: "m", Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{{Name: "input_ids", Datatype: "INT32", Shape: []int64{1, 2}, Contents: &inferencepb.InferTensorContents{IntContents: []int32{1, 2}}}},
			Parameters: map[string]*inferencepb.InferParameter{"x": {ParameterChoice: &inferencepb.InferParameter_StringParam{StringParam: "y"}}}},
	} {
		raw, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r inferencepb.ModelInferRequest
		if proto.Unmarshal(raw, &r) != nil {
			return
		}
		if q, err := decodeGRPC(&r, limits); err == nil {
			sound(t, q, len(raw))
		}
	})
}
