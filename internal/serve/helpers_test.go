package serve

import "log/slog"

var slogDiscard = slog.New(slog.DiscardHandler)
