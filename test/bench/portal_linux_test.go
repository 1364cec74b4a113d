package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// portalProcess names, in the environment of this test binary, what it is to write instead of
// running tests: a portal in a process of its own, which shares the processor with its PostgreSQL
// and none with the servers beside it.
const portalProcess = "PORTAL_PROCESS"

// portalWork is what a portal in a process of its own does.
type portalWork struct {
	URL, Statement string
	Writers        int
	Span           time.Duration
	CPU            int
}

func init() {
	text := os.Getenv(portalProcess)
	if text == "" {
		return
	}
	var work portalWork
	err := json.Unmarshal([]byte(text), &work)
	if err == nil {
		err = pin(os.Getpid(), work.CPU)
	}
	var perSecond float64
	if err == nil {
		perSecond, err = writesPerSecond(context.Background(), work.URL, work.Statement, work.Writers, work.Span)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(perSecond)
	os.Exit(0)
}

// run has another process do the work, and returns how many were committed a second.
func (w portalWork) run(b *testing.B) (perSecond float64) {
	b.Helper()
	text, err := json.Marshal(w)
	if err != nil {
		b.Fatal(err)
	}
	portal := exec.CommandContext(b.Context(), os.Args[0])
	portal.Env = append(os.Environ(), portalProcess+"="+string(text))
	portal.Stderr = os.Stderr
	said, err := portal.Output()
	if err == nil {
		_, err = fmt.Sscan(string(said), &perSecond)
	}
	if err != nil {
		b.Fatalf("the portal: %v", err)
	}
	return perSecond
}
