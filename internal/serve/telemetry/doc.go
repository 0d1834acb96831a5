// Package telemetry lets people see inside a server: metrics for Prometheus, traces for OpenTelemetry, and a log with request ids.
//
//	t, err := telemetry.New(ctx, version, log)
//	handler = t.Wrap(handler)              // outermost: every request is counted, traced and logged
//	mux.Handle("GET /metrics", t.Metrics())
//	backend.Options{Observer: t}           // queues, batches, tokens
//	defer t.Shutdown(ctx)                  // sends the last traces
//
// docs/reference/serve-telemetry.md lists metrics, fields and variables.
package telemetry
