package oip

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/oip/inferencepb"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// Mount adds the protocol's routes, those of gRPC, too.
func Mount(mux *http.ServeMux, m backend.Models, l web.Limits) {
	s := &service{models: m, limits: l}
	mux.HandleFunc("GET /v2", s.getServer)
	mux.HandleFunc("GET /v2/{$}", s.getServer) // as the specification's OpenAPI document has it
	mux.HandleFunc("GET /v2/health/live", s.getLive)
	mux.HandleFunc("GET /v2/health/ready", s.getReady)
	mux.HandleFunc("POST /v2/repository/index", s.postIndex)
	// The name of a model may have a slash in it, and Triton's clients leave that as it is.
	mux.HandleFunc("/v2/models/{path...}", s.handleModel)
	calls := s.grpc()
	service := inferencepb.File_inference_proto.Services().Get(0)
	mux.Handle(fmt.Sprintf("POST /%s/", service.FullName()), calls)
	for i := range service.Methods().Len() { // each a pattern of its own, by which it is counted
		mux.Handle(fmt.Sprintf("POST /%s/%s", service.FullName(), service.Methods().Get(i).Name()), calls)
	}
}

// headerLength is the header that says where the JSON of a body ends and its tensors' bytes begin.
const headerLength = "Inference-Header-Content-Length"

// Fail answers with an error in the protocol's form.
func Fail(w http.ResponseWriter, err error) {
	if errors.Is(err, errTimeout) {
		web.WriteJSON(w, http.StatusGatewayTimeout, map[string]string{"error": errTimeout.Error()})
		return
	}
	e := backend.AsError(err)
	web.WriteJSON(w, web.Status(w.Header(), e), map[string]string{"error": e.Error()})
}

func (s *service) getServer(w http.ResponseWriter, _ *http.Request) {
	web.WriteJSON(w, http.StatusOK, server{serverName, serverVersion(), extensions})
}

func serverVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func (s *service) getLive(w http.ResponseWriter, _ *http.Request) {
	web.WriteJSON(w, http.StatusOK, map[string]bool{"live": true})
}

func (s *service) getReady(w http.ResponseWriter, _ *http.Request) {
	if err := s.models.Ready(); err != nil {
		Fail(w, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, map[string]bool{"ready": true})
}

// indexed is a model in the index of models.
type indexed struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	State   string `json:"state"`
}

func (s *service) postIndex(w http.ResponseWriter, _ *http.Request) {
	list, err := s.index()
	if err != nil {
		Fail(w, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, list)
}

// index lists the models that answer. That there is none now is an error.
func (s *service) index() (list []indexed, err error) {
	list = []indexed{}
	for _, i := range s.models.List() {
		list = append(list, indexed{i.ID, version, "READY"})
	}
	if len(list) == 0 {
		err = s.models.Loaded()
	}
	return list, err
}

// handleModel answers under /v2/models/NAME[/versions/VERSION][/ready|/infer].
func (s *service) handleModel(w http.ResponseWriter, r *http.Request) {
	name, v, action := splitPath(r.PathValue("path"))
	allowed := http.MethodGet
	if action == "infer" {
		allowed = http.MethodPost
	}
	if r.Method != allowed && !(r.Method == http.MethodHead && allowed == http.MethodGet) {
		Fail(w, web.WrongMethod(w, r, allowed))
		return
	}
	if action == "infer" {
		s.postInfer(w, r, name, v)
		return
	}
	m, err := s.model(name, v)
	if err == nil && action == "ready" {
		err = s.models.Ready()
	}
	switch {
	case err != nil:
		Fail(w, err)
	case action == "ready":
		web.WriteJSON(w, http.StatusOK, map[string]any{"name": name, "ready": true})
	default:
		web.WriteJSON(w, http.StatusOK, metadataOf(name, m.Info()))
	}
}

func splitPath(path string) (name, version, action string) {
	for _, end := range []string{"ready", "infer"} {
		if rest, ok := strings.CutSuffix(path, "/"+end); ok {
			path, action = rest, end
		}
	}
	if i := strings.LastIndex(path, "/versions/"); i >= 0 {
		return path[:i], path[i+len("/versions/"):], action
	}
	return path, "", action
}

func (s *service) postInfer(w http.ResponseWriter, r *http.Request, name, v string) {
	body, err := s.body(w, r)
	if err != nil {
		Fail(w, err)
		return
	}
	q, binary, err := decode(body, r.Header.Get(headerLength), s.limits)
	if err != nil {
		Fail(w, err)
		return
	}
	q.model, q.version = name, v
	a, err := s.infer(r.Context(), q)
	if err != nil {
		Fail(w, err)
		return
	}
	if err := write(w, a, binary); err != nil {
		Fail(w, err)
	}
}

// body reads the body of a request, also one that is compressed. The limit is that of what comes out.
func (s *service) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	raw, err := web.ReadBody(w, r, s.limits)
	if err != nil {
		return nil, err
	}
	var from io.Reader
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return raw, nil
	case "gzip":
		from, err = gzip.NewReader(bytes.NewReader(raw))
	case "deflate":
		from, err = zlib.NewReader(bytes.NewReader(raw))
	default:
		return nil, backend.Errorf(backend.Invalid, "", "the body is encoded (Content-Encoding %.40q); send it as it is, or as gzip or deflate", encoding)
	}
	if err == nil {
		raw, err = io.ReadAll(io.LimitReader(web.Held(r.Context(), from), s.limits.Body+1))
	}
	if own, ok := errors.AsType[*backend.Error](err); ok {
		return nil, own
	}
	if err != nil {
		return nil, backend.Errorf(backend.Invalid, "", "the body is not what its Content-Encoding says: %w", err)
	}
	if int64(len(raw)) > s.limits.Body {
		return nil, s.limits.TooLarge()
	}
	return raw, nil
}

// decode reads a request from its JSON and the bytes behind it. binary says for each output, by its name, and "" for the others, whether it
// is to be bytes.
func decode(body []byte, length string, l web.Limits) (q *request, binary map[string]bool, err error) {
	var rest []byte
	if length != "" {
		n, err := strconv.ParseUint(length, 10, 63)
		if err != nil || n > uint64(len(body)) {
			return nil, nil, backend.Errorf(backend.Invalid, headerLength, "%s is %.40q, and the body has %d bytes", headerLength, length, len(body))
		}
		body, rest = body[:n], body[n:]
	}
	var j struct {
		ID         string     `json:"id"`
		Parameters parameters `json:"parameters"`
		Inputs     []struct {
			Name       string          `json:"name"`
			Datatype   string          `json:"datatype"`
			Shape      []int64         `json:"shape"`
			Parameters parameters      `json:"parameters"`
			Data       json.RawMessage `json:"data"`
		} `json:"inputs"`
		Outputs []wanted `json:"outputs"`
	}
	if err := l.CheckEntries(body); err != nil {
		return nil, nil, err
	}
	if err := web.DecodeJSON(body, &j); err != nil {
		return nil, nil, err
	}
	if len(j.Inputs) > len(inputDocs) {
		return nil, nil, backend.Errorf(backend.Invalid, "inputs", "the request has %d inputs, more than any model reads", len(j.Inputs))
	}
	q = &request{id: j.ID, parameters: j.Parameters, outputs: j.Outputs}
	for _, in := range j.Inputs {
		t := tensor{name: in.Name, datatype: in.Datatype, shape: in.Shape}
		n, err := volume(t.name, t.shape, l.Body)
		if err != nil {
			return nil, nil, err
		}
		if err := in.Parameters.checkTensor(t.name); err != nil {
			return nil, nil, err
		}
		size, err := take[uint64](in.Parameters, "binary_data_size", "a number of bytes")
		switch {
		case err != nil:
			return nil, nil, err
		case size == nil:
			err = t.readJSON(in.Data, n)
		case len(in.Data) > 0:
			err = backend.Errorf(backend.Invalid, t.name, "input %q has both data and binary_data_size; give one", t.name)
		case *size > uint64(len(rest)):
			err = backend.Errorf(backend.Invalid, t.name, "input %q has %d bytes behind the JSON, and %d are left; %s says where they begin", t.name, *size, len(rest), headerLength)
		default:
			err = t.readRaw(rest[:*size], n)
			rest = rest[*size:]
		}
		if err != nil {
			return nil, nil, err
		}
		q.inputs = append(q.inputs, t)
	}
	if len(rest) > 0 {
		return nil, nil, backend.Errorf(backend.Invalid, "inputs", "%d bytes behind the JSON belong to no input; binary_data_size of an input counts its bytes", len(rest))
	}
	binary = map[string]bool{}
	all, err := take[bool](q.parameters, "binary_data_output", "true or false")
	if err != nil {
		return nil, nil, err
	}
	binary[""] = all != nil && *all
	for _, w := range q.outputs {
		if err := w.Parameters.checkTensor(w.Name); err != nil {
			return nil, nil, err
		}
		own, err := take[bool](w.Parameters, "binary_data", "true or false")
		if err != nil {
			return nil, nil, err
		}
		binary[w.Name] = binary[""]
		if own != nil {
			binary[w.Name] = *own
		}
	}
	return q, binary, nil
}

// write answers with a's outputs, as JSON and as bytes behind it.
func write(w http.ResponseWriter, a *response, binary map[string]bool) error {
	type output struct {
		tensorMetadata
		Parameters map[string]int `json:"parameters,omitempty"`
		Data       any            `json:"data,omitempty"`
	}
	answer := struct {
		Model      string           `json:"model_name"`
		Version    string           `json:"model_version"`
		ID         string           `json:"id,omitempty"`
		Parameters map[string]int64 `json:"parameters"`
		Outputs    []output         `json:"outputs"`
	}{a.model, version, a.id, a.parameters, []output{}}
	var behind []byte
	any := false
	for _, t := range a.outputs {
		o := output{tensorMetadata: tensorMetadata{t.name, t.datatype, t.shape}}
		bin, own := binary[t.name]
		if !own {
			bin = binary[""]
		}
		if bin {
			raw := t.raw()
			o.Parameters = map[string]int{"binary_data_size": len(raw)}
			behind = append(behind, raw...)
			any = true
		} else {
			o.Data = t.values()
		}
		answer.Outputs = append(answer.Outputs, o)
	}
	head, err := json.Marshal(answer)
	if err != nil { // a number that JSON has no form for
		return fmt.Errorf("writing the outputs: %w", err)
	}
	if any {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set(headerLength, strconv.Itoa(len(head)))
	} else {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(http.StatusOK)
	w.Write(head)
	w.Write(behind)
	return nil
}
