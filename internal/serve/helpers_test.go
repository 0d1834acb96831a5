package serve

import (
	"log/slog"
	"net/http"
	"time"
)

var (
	slogDiscard = slog.New(slog.DiscardHandler)
	httpClient  = &http.Client{Timeout: 20 * time.Second}
)
