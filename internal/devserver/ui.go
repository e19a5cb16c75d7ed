package devserver

import (
	"context"
	"fmt"
	"net/http"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
)

// webUI is Temporal's Web UI.
type webUI struct {
	server  *uiserver.Server
	url     string
	stopped chan struct{} // closed when the server's Start has returned
}

// startUI serves the Web UI for the Temporal server at hostPort and returns
// when it answers.
func startUI(ctx context.Context, port int, hostPort, namespace string) (*webUI, error) {
	ui := &webUI{
		url:     "http://" + address(port),
		stopped: make(chan struct{}),
		server: uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
			Host:                loopback,
			Port:                port,
			TemporalGRPCAddress: hostPort,
			DefaultNamespace:    namespace,
			EnableUI:            true,
			HideLogs:            true,
			// It fetches release news from the internet otherwise.
			DisableNewsFetch: true,
			// A secure cookie would not come back over plain HTTP.
			CORS: uiconfig.CORS{CookieInsecure: true},
		})),
	}
	go func() {
		defer close(ui.stopped)
		_ = ui.server.Start() // always nil: its errors end the process
	}()
	if err := ui.awaitReady(ctx); err != nil {
		ui.stop()
		return nil, fmt.Errorf("start web ui: %w", err)
	}
	return ui, nil
}

func (ui *webUI) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return until(ctx, "get "+ui.url, func() error { return ui.healthy(ctx) })
}

func (ui *webUI) healthy(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, ui.url+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s", resp.Status)
	}
	return nil
}

func (ui *webUI) stop() {
	ui.server.Stop()
	<-ui.stopped
}
