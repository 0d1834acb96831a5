package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// metrics are what Prometheus reads.
type metrics struct {
	registry *prometheus.Registry

	inFlight prometheus.Gauge
	requests *prometheus.CounterVec   // method, route, code
	seconds  *prometheus.HistogramVec // method, route

	waiting   *prometheus.GaugeVec     // model
	refused   *prometheus.CounterVec   // model
	batches   *prometheus.CounterVec   // model, work, result
	together  *prometheus.HistogramVec // model, work
	items     *prometheus.HistogramVec // model, work
	waited    *prometheus.HistogramVec // model, work
	took      *prometheus.HistogramVec // model, work
	tokens    *prometheus.CounterVec   // model, work
	pictures  *prometheus.CounterVec   // model, work
	loads     *prometheus.CounterVec   // model, result
	loadTimes *prometheus.GaugeVec     // model
}

// Bounds of histograms: from a short text through a small model to a caption of a large one under load.
var (
	latencies = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	sizes     = prometheus.ExponentialBuckets(1, 2, 11) // to 1024
)

func newMetrics(version string) metrics {
	m := metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(g)
		return g
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.inFlight = gauge("unimo_http_requests_in_flight", "Requests that are being answered.").WithLabelValues()
	m.requests = counter("unimo_http_requests_total", "Requests by the status of the answer.", "method", "route", "code")
	m.seconds = histogram("unimo_http_request_duration_seconds", "Time from the header of a request to the end of the answer.", latencies, "method", "route")
	m.waiting = gauge("unimo_queue_requests", "Requests that wait for a model.", "model")
	m.refused = counter("unimo_queue_refused_total", "Requests that met a full queue.", "model")
	m.batches = counter("unimo_batches_total", "Batches that went through a model, by how that ended: ok, canceled or error.", "model", "work", "result")
	m.together = histogram("unimo_batch_requests", "Requests of a batch.", sizes, "model", "work")
	m.items = histogram("unimo_batch_items", "Texts, pictures or pairs of a batch.", sizes, "model", "work")
	m.waited = histogram("unimo_queue_wait_seconds", "Time that the request of a batch waited that waited longest.", latencies, "model", "work")
	m.took = histogram("unimo_batch_duration_seconds", "Time of a batch in the model.", latencies, "model", "work")
	m.tokens = counter("unimo_tokens_total", "Tokens that a model read, with the regions of pictures.", "model", "work")
	m.pictures = counter("unimo_pictures_total", "Pictures that a model saw.", "model", "work")
	m.loads = counter("unimo_model_loads_total", "Times that a model was loaded: ok or error.", "model", "result")
	m.loadTimes = gauge("unimo_model_load_seconds", "Time that the last loading of a model took.", "model")
	gauge("unimo_build_info", "1; the label is the program's version.", "version").WithLabelValues(version).Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Metrics answers with the metrics, in Prometheus's format.
func (m *metrics) Metrics() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Queued implements [backend.Observer].
func (m *metrics) Queued(model string, requests int) {
	m.waiting.WithLabelValues(model).Set(float64(requests))
}

// Refused implements [backend.Observer].
func (m *metrics) Refused(model string) { m.refused.WithLabelValues(model).Inc() }

// Ran implements [backend.Observer].
func (m *metrics) Ran(model string, b backend.Batch) {
	result := resultOf(b.Err)
	m.batches.WithLabelValues(model, b.Work, result).Inc()
	m.waited.WithLabelValues(model, b.Work).Observe(b.Waited.Seconds())
	m.took.WithLabelValues(model, b.Work).Observe(b.Took.Seconds())
	m.together.WithLabelValues(model, b.Work).Observe(float64(b.Requests))
	m.items.WithLabelValues(model, b.Work).Observe(float64(b.Items))
	m.tokens.WithLabelValues(model, b.Work).Add(float64(b.Tokens))
	m.pictures.WithLabelValues(model, b.Work).Add(float64(b.Pictures))
}

// Loaded implements [backend.Observer].
func (m *metrics) Loaded(model string, took time.Duration, err error) {
	m.loads.WithLabelValues(model, resultOf(err)).Inc()
	m.loadTimes.WithLabelValues(model).Set(took.Seconds())
}

// Device lets the metrics show an accelerator: use says what it is used for, and false where there is none.
func (m *metrics) Device(use func() (backend.DeviceUse, bool)) {
	m.registry.MustRegister(deviceCollector(use))
}

// deviceCollector asks when the metrics are read.
type deviceCollector func() (backend.DeviceUse, bool)

var (
	deviceUp       = prometheus.NewDesc("unimo_device_up", "Whether the accelerator can be used: 0 where it was lost.", []string{"device", "precision", "version"}, nil)
	devicePrograms = prometheus.NewDesc("unimo_device_programs_total", "Programs that the accelerator has, by where from: compiled or cache.", []string{"from"}, nil)
	deviceCompile  = prometheus.NewDesc("unimo_device_compile_seconds_total", "Time that programs took to be compiled or loaded.", nil, nil)
	deviceRuns     = prometheus.NewDesc("unimo_device_runs_total", "Programs that ran, each run counted.", nil, nil)
	devicePadding  = prometheus.NewDesc("unimo_device_padding_ratio", "Share of the work in products with weights that was done for rows beyond those of batches.", nil, nil)
	deviceBuffers  = prometheus.NewDesc("unimo_device_buffers", "Buffers in the accelerator's memory.", nil, nil)
	deviceHeld     = prometheus.NewDesc("unimo_device_held_bytes", "Bytes of these buffers.", nil, nil)
	deviceNeeds    = prometheus.NewDesc("unimo_device_needed_bytes", "The most memory that a program needed, by its plan, with all else that lay there.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (deviceCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{deviceUp, devicePrograms, deviceCompile, deviceRuns, devicePadding, deviceBuffers, deviceHeld, deviceNeeds} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (c deviceCollector) Collect(to chan<- prometheus.Metric) {
	u, ok := c()
	if !ok {
		return
	}
	up := 1.
	if u.Lost {
		up = 0
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	for _, m := range []struct {
		desc   *prometheus.Desc
		kind   prometheus.ValueType
		value  float64
		labels []string
	}{
		{deviceUp, gauge, up, []string{u.Device, u.Precision, u.Version}},
		{devicePrograms, counter, float64(u.Compiled), []string{"compiled"}},
		{devicePrograms, counter, float64(u.Loaded), []string{"cache"}},
		{deviceCompile, counter, u.Compiling.Seconds(), nil},
		{deviceRuns, counter, float64(u.Ran), nil},
		{devicePadding, gauge, u.Padding, nil},
		{deviceBuffers, gauge, float64(u.Buffers), nil},
		{deviceHeld, gauge, float64(u.Bytes), nil},
		{deviceNeeds, gauge, float64(u.Memory), nil},
	} {
		to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value, m.labels...)
	}
}

func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case backend.AsError(err).Kind == backend.Canceled:
		return "canceled"
	}
	return "error"
}
