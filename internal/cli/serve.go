package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/serve"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/telemetry"
)

// serveFlags are the flags of "unimo serve" that are not options as they stand.
type serveFlags struct {
	models       []string
	body, memory int // MiB
	delay, grace int // ms, s
	log          string
}

func (a *app) serveCommand() *cobra.Command {
	o := serve.Defaults
	f := serveFlags{body: int(o.Limits.Body >> 20), memory: int(o.Memory >> 20), delay: int(o.Delay.Milliseconds()), grace: int(o.Grace.Seconds()), log: "text"}
	c := &cobra.Command{
		Annotations: map[string]string{opensDevice: "true"}, // once it listens
		Use:         "serve --model [NAME=]DIR... [--index DIR]",
		Short:       "Answer requests over HTTP, and show a page to try models on",
		Long: `Serve models over HTTP: to clients of OpenAI, Cohere, Jina, text-embeddings-inference
and the Open Inference Protocol, and to people, on a page at the address.

DIR is what the other commands open: a model of this program or a run, a folder of
sentence-transformers, an encoder of Hugging Face's transformers. NAME is what
requests call it; without, it is the folder's name. The first model is that of
requests that name none. Of a model for several tasks, NAME/TASK is one of them.

Requests of many clients go through a model together. On the processor an answer
is the same, bit for bit, as that of the other commands, whatever else is asked;
with --device it is so but for rounding.

The server listens on this machine alone unless --listen says otherwise. It
fetches nothing: pictures come in requests, unless --fetch allows a place.

  SIGTERM, Ctrl-C  it answers what has come, takes nothing more, and ends
  SIGHUP           it loads models, keys and certificate again; a device that
                   was lost is opened again
  GET /livez       200 as long as it runs
  GET /readyz      200; 503 while models are loaded or a device is warmed up,
                   and before it ends
  GET /metrics     for Prometheus
  GET /docs        every route, for people; /openapi.json for programs`,
		Example: `  unimo serve --model RUN/best
  unimo serve --model vectors=all-MiniLM-L6-v2 --model photos=RUN/best --index INDEX
  unimo serve --model RUN/best --device cuda
  unimo serve --model RUN --listen 0.0.0.0:8443 --keys keys.txt --tls-cert c.pem --tls-key k.pem
  curl -s localhost:8080/v1/embeddings -d '{"input": "a dog runs"}'`,
		Args: func(c *cobra.Command, args []string) (err error) {
			if len(args) > 0 {
				return usagef("serve takes no argument, but there is %q; name a model with --model", args[0])
			}
			for _, arg := range f.models {
				s, err := backend.SourceOf(arg)
				if err != nil {
					return usageError{fmt.Errorf("--model: %w", err)}
				}
				o.Backend.Models = append(o.Backend.Models, s)
			}
			const most = 1 << 30
			for _, n := range []struct {
				flag         string
				value, least int
			}{
				{"max-body", f.body, 1}, {"max-memory", f.memory, 1}, {"max-items", o.Limits.Items, 1}, {"max-results", o.Limits.TopK, 1}, {"max-tokens", o.Backend.MaxTokens, 1},
				{"queue", o.Backend.Queue, 1}, {"grace", f.grace, 1}, {"drain-delay", f.delay, 0}, {"max-pixels", o.Backend.MaxPixels, 0},
			} {
				if n.value < n.least || n.value > most {
					return usagef("--%s is %d; want %d to %d", n.flag, n.value, n.least, most)
				}
			}
			for _, name := range o.Hosts {
				if name == "" || strings.ContainsAny(name, ":/ ") {
					return usagef("--host %q is no name; want one such as models.example, without a port", name)
				}
			}
			if list, ok := os.LookupEnv(serve.KeysEnv); ok {
				if o.KeyList = list; strings.TrimSpace(list) == "" { // a secret that is missing must not open the server
					return usagef("%s is set and has no key; give one, or leave it out", serve.KeysEnv)
				}
			}
			switch {
			case (o.Cert == "") != (o.Key == ""):
				return usagef("--tls-cert and --tls-key go together; give both, or neither")
			case f.log != "text" && f.log != "json":
				return usagef("--log %q is no form of a log; want text or json", f.log)
			}
			if o.Backend.Device, err = deviceChoice(c); err != nil {
				return err
			}
			if err := choice("warm-up", o.Backend.WarmUp, backend.WarmUps...); err != nil {
				return err
			}
			if c.Flags().Changed("warm-up") && o.Backend.WarmUp != backend.WarmUpNone && !o.Backend.Device.Accelerated() {
				return usagef("--warm-up is for an accelerator (--%s), and the processor prepares nothing; leave it out", deviceName)
			}
			o.Log = a.serverLog(f.log)
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			o.Limits.Body, o.Memory = int64(f.body)<<20, int64(f.memory)<<20
			o.Delay, o.Grace = time.Duration(f.delay)*time.Millisecond, time.Duration(f.grace)*time.Second
			return a.serve(c.Context(), o)
		},
	}
	flags := c.Flags()
	flags.StringArrayVarP(&f.models, "model", "m", nil, "`[NAME=]DIR` of a model, or of a run for its best model; may be repeated")
	c.MarkFlagRequired("model")
	flags.StringVar(&o.Backend.Index, "index", "", "`DIR` of the index that the model which made it searches")
	deviceFlags(c)
	flags.StringVar(&o.Backend.WarmUp, "warm-up", backend.WarmUpCommon, "what an accelerator prepares before a model answers, `WHICH`: none, common (for what the model was trained for) or all")
	flags.StringVar(&o.Listen, "listen", o.Listen, "`HOST:PORT`; port 0 takes a free one, without HOST it is all addresses")
	flags.StringVar(&o.Keys, "keys", "", "`FILE` of the keys that requests may have, one a line; the environment's UNIMO_KEYS may have some, too")
	flags.StringVar(&o.Cert, "tls-cert", "", "`FILE` of the certificate, in PEM")
	flags.StringVar(&o.Key, "tls-key", "", "`FILE` of its key, in PEM")
	flags.StringArrayVar(&o.Hosts, "host", nil, "`NAME` that requests may call the server by, besides addresses; may be repeated")
	flags.StringArrayVar(&o.Fetch, "fetch", nil, "`URL` that those of pictures which are fetched begin with; may be repeated")
	flags.IntVar(&o.Backend.Queue, "queue", backend.DefaultQueue, "texts, pictures and pairs that may wait for a model; more are answered with 429")
	flags.IntVar(&o.Limits.Items, "max-items", o.Limits.Items, "texts, pictures or pairs of a request")
	flags.IntVar(&o.Backend.MaxTokens, "max-tokens", backend.DefaultTokens, "tokens and regions of a request")
	flags.IntVar(&o.Limits.TopK, "max-results", o.Limits.TopK, "results or answers of a request")
	flags.IntVar(&f.body, "max-body", f.body, "MiB of a request's body")
	flags.IntVar(&f.memory, "max-memory", f.memory, "MiB of the bodies of all requests together")
	pixelsFlag(c, &o.Backend.MaxPixels)
	flags.IntVar(&f.delay, "drain-delay", f.delay, "milliseconds between not ready and no new connections, for who balances load")
	flags.IntVar(&f.grace, "grace", f.grace, "seconds for the last answers")
	flags.StringVar(&f.log, "log", f.log, "text or json")
	return c
}

// serverLog is the log of a server. Where it is of JSON, all that the command says from now on is.
func (a *app) serverLog(form string) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if a.verbose {
		options.Level = slog.LevelDebug
	}
	if form == "text" {
		return slog.New(telemetry.Handler(slog.NewTextHandler(a.stderr, options)))
	}
	log := slog.New(telemetry.Handler(slog.NewJSONHandler(a.stderr, options)))
	a.tell.records.Store(log)
	return log
}

// served is what "unimo serve --json" prints once it is ready.
type served struct {
	URL    string   `json:"url"`
	Models []string `json:"models"`
}

// serve serves until the context ends.
func (a *app) serve(ctx context.Context, o serve.Options) error {
	a.ending.Store(&drains)
	defer a.ending.Store(nil)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	o.Reload, o.Version = reload, currentVersion().Version
	var names []string
	for _, s := range o.Backend.Models {
		names = append(names, s.Name)
	}
	o.Ready = func(url string) {
		var err error
		if a.json {
			err = a.printJSON(served{url, names})
		} else {
			_, err = fmt.Fprintf(a.stdout, "%s serves %s; Ctrl-C ends it\n", url, strings.Join(names, ", "))
		}
		if err != nil {
			a.log.Error("print where the server is", "error", err)
		}
	}
	return serve.Run(ctx, o)
}
