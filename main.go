// HangarShare Realtime serves an owner's live numbers from the portal's PostgreSQL: REST snapshots,
// a WebSocket, a Server-Sent Events fallback and the dashboard page, in one process.
package main

import (
	"context"
	_ "embed"
	"os"
	"os/signal"
	"syscall"

	"github.com/hangarshare/hangarshare-realtime/api/cli"
)

//go:embed openapi.yaml
var openAPI []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, openAPI, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
