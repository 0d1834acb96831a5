package tei

import (
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// information is what GET /info says of the first model. What has no meaning here, such as the number of tokenization workers, is left out.
type information struct {
	ModelID   string         `json:"model_id"`
	ModelSHA  string         `json:"model_sha,omitempty"`
	DType     string         `json:"model_dtype"`
	Served    string         `json:"served_model_name"`
	Type      map[string]any `json:"model_type"`
	MaxInput  int            `json:"max_input_length"`
	MaxClient int            `json:"max_client_batch_size"`
	Truncate  bool           `json:"auto_truncate"`
	Version   string         `json:"version"`
}

func (s *server) info(w http.ResponseWriter, _ *http.Request) error {
	m, err := s.models.Model("")
	if err != nil {
		return err
	}
	i := m.Info()
	answer := information{
		ModelID: i.ID, ModelSHA: i.Fingerprint, DType: "float32", Served: i.ID, Type: kind(i),
		MaxInput: i.MaxTokens, MaxClient: s.limits.Items, Truncate: true, Version: "devel",
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		answer.Version = b.Main.Version
	}
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// kind is the protocol's kind of model. A model of several kinds is of the one that POST / answers with.
func kind(i backend.Info) map[string]any {
	switch can := does(i); {
	case can.Has(backend.CanEmbedText):
		pooling := ""
		if len(i.Details.Pooling) > 0 {
			pooling = i.Details.Pooling[0]
		}
		return map[string]any{"embedding": map[string]string{"pooling": pooling}}
	case can.Has(backend.CanClassify) && len(i.Labels) > 0:
		id2label, label2id := map[string]string{}, map[string]int{}
		for k, l := range i.Labels {
			id2label[strconv.Itoa(k)], label2id[l] = l, k
		}
		return map[string]any{"classifier": map[string]any{"id2label": id2label, "label2id": label2id}}
	case can.Has(backend.CanScore) || can.Has(backend.CanClassify): // a model of one value is a reranker there
		return map[string]any{"reranker": map[string]any{"id2label": map[string]string{"0": regression}, "label2id": map[string]int{regression: 0}}}
	}
	return map[string]any{}
}
