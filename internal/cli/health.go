package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/serve"
)

// healthTimeout is how long a server may take to say whether it is ready.
const healthTimeout = 3 * time.Second

func (a *app) healthCommand() *cobra.Command {
	var ready *url.URL
	return &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask a server whether it is ready",
		Long: `Ask a server of "unimo serve" whether its models are loaded and it is not about to end:
exit code 0 if so, 1 if not or if it says nothing for three seconds. Without URL it
is http://` + serve.Defaults.Listen + `. It is the health check of containers, which have no curl.

No key is needed, and none is sent. A certificate is not checked: that of a server is
seldom for the address by which its own machine calls it.`,
		Example: "  unimo health\n  unimo health https://127.0.0.1:8443\n  unimo health http://10.0.0.7:8080 --json",
		Args: func(c *cobra.Command, args []string) error {
			address := "http://" + serve.Defaults.Listen
			if len(args) > 0 {
				address = args[0]
				if err := noArgs(c, args[1:]); err != nil {
					return err
				}
			}
			u, err := url.Parse(address)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
				return usagef("%q is no address of a server; want one such as http://%s", address, serve.Defaults.Listen)
			}
			ready = u.JoinPath("readyz")
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if err := askReady(c.Context(), ready.String()); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"status": "ready"})
			}
			_, err := fmt.Fprintln(a.stdout, "ready")
			return err
		},
	}
}

// askReady returns why the server at the address is not ready, or does not say so.
func askReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, healthTimeout, fmt.Errorf("no answer for %s", healthTimeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := http.Client{ // without the proxy of the environment: whether others get through to it says nothing of the server
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%s: %w", address, cause)
		}
		return fmt.Errorf("ask a server: %w", err)
	}
	defer answer.Body.Close()
	var said struct{ Status, Reason string }
	json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&said) // what is none of ours says nothing here
	switch {
	case said.Reason != "":
		return fmt.Errorf("%s is not ready: %s", address, said.Reason)
	case answer.StatusCode != http.StatusOK || said.Status != "ready":
		return fmt.Errorf("%s is no server of unimo: it answers with status %d and does not say whether it is ready", address, answer.StatusCode)
	}
	return nil
}
