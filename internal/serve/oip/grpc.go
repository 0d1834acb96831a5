package oip

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress what they send
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/oip/inferencepb"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// grpc returns the service as a handler for requests of HTTP/2.
func (s *service) grpc() http.Handler {
	server := grpc.NewServer(grpc.MaxRecvMsgSize(int(min(s.limits.Body, math.MaxInt32))), grpc.UnaryInterceptor(caughtUnary), grpc.StreamInterceptor(caughtStream))
	inferencepb.RegisterGRPCInferenceServiceServer(server, &grpcService{service: s})
	return server
}

// gRPC calls its methods in goroutines of their own.
func caughtUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, method grpc.UnaryHandler) (answer any, err error) {
	panicked := web.Caught(ctx, func() error {
		answer, err = method(ctx, request)
		return nil
	})
	if panicked != nil {
		err = statusOf(ctx, panicked)
	}
	return answer, err
}

func caughtStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, method grpc.StreamHandler) (err error) {
	panicked := web.Caught(stream.Context(), func() error {
		err = method(service, stream)
		return nil
	})
	if panicked != nil {
		err = statusOf(stream.Context(), panicked)
	}
	return err
}

// grpcService is the service with gRPC's messages.
type grpcService struct {
	inferencepb.UnimplementedGRPCInferenceServiceServer
	*service
}

var codeOf = map[backend.Kind]codes.Code{
	backend.Internal: codes.Internal, backend.Invalid: codes.InvalidArgument, backend.TooLarge: codes.InvalidArgument, backend.NotFound: codes.NotFound,
	backend.Cannot: codes.Unimplemented, backend.Overloaded: codes.ResourceExhausted, backend.Unavailable: codes.Unavailable, backend.Canceled: codes.Canceled,
	backend.Unauthenticated: codes.Unauthenticated, backend.Forbidden: codes.PermissionDenied,
}

// statusOf is an error in gRPC's form. Where there is something to wait for, clients with a policy for retries are told how long.
func statusOf(ctx context.Context, err error) error {
	if errors.Is(err, errTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return status.Error(codes.DeadlineExceeded, errTimeout.Error())
	}
	e := backend.AsError(err)
	if e.RetryAfter > 0 {
		grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", strconv.FormatInt(e.RetryAfter.Milliseconds(), 10)))
	}
	return status.Error(codeOf[e.Kind], e.Error())
}

func (s *grpcService) ServerLive(context.Context, *inferencepb.ServerLiveRequest) (*inferencepb.ServerLiveResponse, error) {
	return &inferencepb.ServerLiveResponse{Live: true}, nil
}

func (s *grpcService) ServerReady(context.Context, *inferencepb.ServerReadyRequest) (*inferencepb.ServerReadyResponse, error) {
	return &inferencepb.ServerReadyResponse{Ready: s.models.Ready() == nil}, nil
}

func (s *grpcService) ModelReady(ctx context.Context, r *inferencepb.ModelReadyRequest) (*inferencepb.ModelReadyResponse, error) {
	_, err := s.model(r.Name, r.Version)
	if err == nil {
		err = s.models.Ready()
	}
	if e := backend.AsError(err); e != nil && e.Kind != backend.Unavailable {
		return nil, statusOf(ctx, err)
	}
	return &inferencepb.ModelReadyResponse{Ready: err == nil}, nil
}

func (s *grpcService) ServerMetadata(context.Context, *inferencepb.ServerMetadataRequest) (*inferencepb.ServerMetadataResponse, error) {
	return &inferencepb.ServerMetadataResponse{Name: serverName, Version: serverVersion(), Extensions: extensions}, nil
}

func (s *grpcService) ModelMetadata(ctx context.Context, r *inferencepb.ModelMetadataRequest) (*inferencepb.ModelMetadataResponse, error) {
	m, err := s.model(r.Name, r.Version)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	d := metadataOf(r.Name, m.Info())
	list := func(tensors []tensorMetadata) (out []*inferencepb.ModelMetadataResponse_TensorMetadata) {
		for _, t := range tensors {
			out = append(out, &inferencepb.ModelMetadataResponse_TensorMetadata{Name: t.Name, Datatype: t.Datatype, Shape: t.Shape})
		}
		return out
	}
	return &inferencepb.ModelMetadataResponse{
		Name: d.Name, Versions: d.Versions, Platform: d.Platform, Inputs: list(d.Inputs), Outputs: list(d.Outputs), Properties: d.Properties,
	}, nil
}

func (s *grpcService) RepositoryIndex(ctx context.Context, _ *inferencepb.RepositoryIndexRequest) (*inferencepb.RepositoryIndexResponse, error) {
	list, err := s.index()
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	a := &inferencepb.RepositoryIndexResponse{}
	for _, i := range list {
		a.Models = append(a.Models, &inferencepb.RepositoryIndexResponse_ModelIndex{Name: i.Name, Version: i.Version, State: i.State})
	}
	return a, nil
}

func (s *grpcService) ModelInfer(ctx context.Context, r *inferencepb.ModelInferRequest) (*inferencepb.ModelInferResponse, error) {
	if _, err := claim(ctx, r); err != nil {
		return nil, statusOf(ctx, err)
	}
	q, err := decodeGRPC(r, s.limits)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	a, err := s.infer(ctx, q)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	return encodeGRPC(a), nil
}

// ModelStreamInfer answers requests one after the other. The text that a model writes for one input comes in pieces: each a response with
// the output generated_text, and then one with all outputs.
func (s *grpcService) ModelStreamInfer(stream inferencepb.GRPCInferenceService_ModelStreamInferServer) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer := &inferencepb.ModelStreamInferResponse{}
		var a *inferencepb.ModelInferResponse
		size, err := claim(stream.Context(), r)
		if err == nil {
			a, err = s.stream(stream, r)
		}
		if err != nil {
			if stream.Context().Err() != nil {
				return statusOf(stream.Context(), stream.Context().Err())
			}
			// The stream goes on; the id says which request failed.
			answer.ErrorMessage = status.Convert(statusOf(stream.Context(), err)).Message()
			a = &inferencepb.ModelInferResponse{ModelName: r.ModelName, Id: r.Id}
		}
		answer.InferResponse = a
		if err := stream.Send(answer); err != nil {
			return err
		}
		web.RequestOf(stream.Context()).Release(size)
	}
}

// claim counts a message as what it is in memory, which is more than what came where it was compressed.
func claim(ctx context.Context, r *inferencepb.ModelInferRequest) (size int, err error) {
	const head = 5 // bytes before each message
	q := web.RequestOf(ctx)
	size = head + proto.Size(r)
	q.Release(size)
	return size, q.Hold(size)
}

// stream sends the pieces of a text, and returns the last response.
func (s *grpcService) stream(to inferencepb.GRPCInferenceService_ModelStreamInferServer, r *inferencepb.ModelInferRequest) (*inferencepb.ModelInferResponse, error) {
	q, err := decodeGRPC(r, s.limits)
	if err != nil {
		return nil, err
	}
	q.emit = func(piece string) error {
		t := filled("generated_text", "BYTES", 1)
		t.bytes = append(t.bytes, []byte(piece))
		return to.Send(&inferencepb.ModelStreamInferResponse{InferResponse: encodeGRPC(&response{model: q.model, id: q.id, outputs: []tensor{t}})})
	}
	a, err := s.infer(to.Context(), q)
	if err != nil {
		return nil, err
	}
	last := encodeGRPC(a)
	last.Parameters["triton_final_response"] = &inferencepb.InferParameter{ParameterChoice: &inferencepb.InferParameter_BoolParam{BoolParam: true}}
	return last, nil
}

// decodeGRPC reads a request from gRPC's message.
func decodeGRPC(r *inferencepb.ModelInferRequest, l web.Limits) (*request, error) {
	p, err := fromGRPC(r.Parameters)
	if err != nil {
		return nil, err
	}
	q := &request{model: r.ModelName, version: r.ModelVersion, id: r.Id, parameters: p}
	raws := r.RawInputContents
	if len(raws) > 0 && len(raws) != len(r.Inputs) {
		return nil, backend.Errorf(backend.Invalid, "raw_input_contents", "raw_input_contents has %d entries, and there are %d inputs; give one for each", len(raws), len(r.Inputs))
	}
	for i, in := range r.Inputs {
		t := tensor{name: in.Name, datatype: in.Datatype, shape: in.Shape}
		n, err := volume(t.name, t.shape, l.Body)
		if err != nil {
			return nil, err
		}
		p, err := fromGRPC(in.Parameters)
		if err != nil {
			return nil, err
		}
		if err := p.checkTensor(t.name); err != nil {
			return nil, err
		}
		switch {
		case len(raws) == 0:
			err = t.readContents(in.Contents, n)
		case in.Contents != nil:
			err = backend.Errorf(backend.Invalid, t.name, "input %q has contents, and the request has raw_input_contents; give one", t.name)
		default:
			err = t.readRaw(raws[i], n)
		}
		if err != nil {
			return nil, err
		}
		q.inputs = append(q.inputs, t)
	}
	for _, o := range r.Outputs {
		w := wanted{Name: o.Name}
		if w.Parameters, err = fromGRPC(o.Parameters); err != nil {
			return nil, err
		}
		if err := w.Parameters.checkTensor(w.Name); err != nil {
			return nil, err
		}
		q.outputs = append(q.outputs, w)
	}
	return q, nil
}

// readContents takes the values of t, which has n, from the field of its datatype.
func (t *tensor) readContents(c *inferencepb.InferTensorContents, n int64) error {
	if _, err := width(t.name, t.datatype); err != nil {
		return err
	}
	have := 0
	switch t.datatype {
	case "BYTES":
		t.bytes = c.GetBytesContents()
		have = len(t.bytes)
	case "INT32":
		have = len(c.GetIntContents())
		for _, v := range c.GetIntContents() {
			t.ints = append(t.ints, int64(v))
		}
	case "INT64":
		t.ints = c.GetInt64Contents()
		have = len(t.ints)
	}
	if int64(have) != n {
		return backend.Errorf(backend.Invalid, t.name, "input %q has %d values of %s in its contents; its shape %v has %d", t.name, have, t.datatype, t.shape, n)
	}
	return nil
}

// encodeGRPC makes gRPC's message. The values are raw, the one form that Triton's clients read of every datatype.
func encodeGRPC(a *response) *inferencepb.ModelInferResponse {
	m := &inferencepb.ModelInferResponse{ModelName: a.model, ModelVersion: version, Id: a.id, Parameters: map[string]*inferencepb.InferParameter{}}
	for name, v := range a.parameters {
		m.Parameters[name] = &inferencepb.InferParameter{ParameterChoice: &inferencepb.InferParameter_Int64Param{Int64Param: v}}
	}
	for _, t := range a.outputs {
		m.Outputs = append(m.Outputs, &inferencepb.ModelInferResponse_InferOutputTensor{Name: t.name, Datatype: t.datatype, Shape: t.shape})
		m.RawOutputContents = append(m.RawOutputContents, t.raw())
	}
	return m
}
