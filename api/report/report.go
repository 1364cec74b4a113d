// Package report sends the program's errors to Sentry, or to what understands its protocol. It is
// an slog.Handler before another one: every record of level ERROR also becomes an event there. It
// promises that logging never waits for the network, and that a kind of error is reported at most
// ten times a minute. Only chosen attributes leave the machine, with what may be a person's or a
// secret removed. It does not know what the program does.
package report

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/getsentry/sentry-go"
	"golang.org/x/time/rate"
)

const (
	// burst and interval bound the events of one kind: ten within a minute, and one a
	// minute of what goes on.
	burst    = 9
	interval = time.Minute
	// maxKinds bounds the kinds that are told apart. Messages are constants of the
	// program, and fewer.
	maxKinds = 1000
	// sendTimeout bounds one attempt to send, and flushTime how long a stop waits for
	// what is not sent yet.
	sendTimeout = 10 * time.Second
	flushTime   = 2 * time.Second
)

// allowed are the attributes of a record that leave the machine. "error" and "cause" do
// as well, scrubbed.
var allowed = map[string]bool{
	"component": true, "status": true, "code": true, "batch": true, "part": true, "route": true, "reason": true,
}

// Options say where to report to, and as what.
type Options struct {
	DSN         string // like https://KEY@sentry.example/1
	Environment string
	Release     string
}

// Reporter sends events.
type Reporter struct {
	client *sentry.Client
	cancel context.CancelFunc // of what is being sent
	idle   func()             // closes connections that are kept

	mu    sync.Mutex // guards what follows
	kinds map[string]*kind
}

// kind is the events with one message.
type kind struct {
	limiter  rate.Limiter
	withheld int // events since the last one that was sent
}

// errDSN refuses an address.
var errDSN = errors.New("SENTRY_DSN is not an address like https://KEY@sentry.example/1")

// CheckDSN refuses what New would refuse.
func CheckDSN(dsn string) error {
	if _, err := sentry.NewDsn(dsn); err != nil {
		return errDSN
	}
	return nil
}

// New returns a Reporter. It sends nothing until there is something to report.
func New(o Options) (*Reporter, error) {
	if o.DSN == "" { // for which the library makes a client that goes on for ever
		return nil, errDSN
	}
	ctx, cancel := context.WithCancel(context.Background())
	off := &sentry.KeyValueCollectionBehavior{Mode: sentry.CollectionOff}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: sendTimeout}).DialContext,
		TLSHandshakeTimeout: sendTimeout, ResponseHeaderTimeout: sendTimeout, MaxIdleConns: 1, IdleConnTimeout: time.Minute,
	}
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: o.DSN, Environment: o.Environment, Release: o.Release,
		ServerName: rand.Text()[:8], // the machine's own name is nobody's business
		SampleRate: 1, MaxBreadcrumbs: -1, DisableClientReports: true,
		DataCollection: &sentry.DataCollection{
			UserInfo: sentry.Set(false), Cookies: off, QueryParams: off, HTTPBodies: []sentry.BodyType{},
			HTTPHeaders: &sentry.HeaderCollectionConfig{Request: off, Response: off},
		},
		Integrations: func([]sentry.Integration) []sentry.Integration { return nil },
		HTTPClient:   &http.Client{Timeout: sendTimeout, Transport: &cancelable{transport, ctx}},
	})
	if err != nil {
		cancel()
		return nil, errDSN
	}
	return &Reporter{client: client, cancel: cancel, idle: transport.CloseIdleConnections, kinds: make(map[string]*kind)}, nil
}

// Flush waits a moment for what is not sent yet.
func (r *Reporter) Flush() { r.client.Flush(flushTime) }

// Close waits a moment for what is not sent yet, gives up the rest, and leaves nothing behind.
func (r *Reporter) Close() {
	r.Flush()
	r.cancel()
	r.client.Close()
	r.idle()
}

// cancelable gives requests up when a context ends: an ingest that hangs must not hold up a stop.
type cancelable struct {
	to  http.RoundTripper
	ctx context.Context
}

// RoundTrip implements http.RoundTripper.
func (c *cancelable) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(c.ctx, cancel)
	end := func() { stop(); cancel() }
	response, err := c.to.RoundTrip(r.WithContext(ctx))
	if err != nil {
		end()
		return nil, err
	}
	response.Body = &closing{response.Body, end}
	return response, nil
}

// allow reports whether an event of a kind may be sent now, and how many were withheld before it.
func (r *Reporter) allow(message string) (withheld int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kinds[message]
	if k == nil {
		if len(r.kinds) >= maxKinds {
			return 0, false
		}
		k = &kind{limiter: *rate.NewLimiter(rate.Every(interval), burst)}
		r.kinds[message] = k
	}
	if !k.limiter.Allow() {
		k.withheld++
		return 0, false
	}
	withheld, k.withheld = k.withheld, 0
	return withheld, true
}

// Handler returns a handler that reports, and hands everything on to another.
func (r *Reporter) Handler(next slog.Handler) slog.Handler { return &handler{reporter: r, next: next} }

// handler implements slog.Handler.
type handler struct {
	reporter *Reporter
	next     slog.Handler
	attrs    []slog.Attr
	grouped  bool // attributes of groups are not told
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelError {
		h.report(record)
	}
	if !h.next.Enabled(ctx, record.Level) {
		return nil
	}
	return h.next.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.next = h.next.WithAttrs(attrs)
	if !h.grouped {
		with.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	}
	return &with
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	with := *h
	with.next, with.grouped = h.next.WithGroup(name), h.grouped || name != ""
	return &with
}

// report makes an event of a record and hands it to the library, which queues it.
func (h *handler) report(record slog.Record) {
	withheld, ok := h.reporter.allow(record.Message)
	if !ok {
		return
	}
	event := sentry.NewEvent()
	event.Level, event.Timestamp = sentry.LevelError, record.Time
	event.Message = scrub(record.Message)
	event.Fingerprint = []string{record.Message}
	event.Tags = map[string]string{}
	if withheld > 0 {
		event.Contexts["rate"] = sentry.Context{"withheld": withheld}
	}
	panicked := false
	var functions []string
	tell := func(a slog.Attr) bool {
		switch value := a.Value.Resolve(); {
		case allowed[a.Key]:
			event.Tags[a.Key] = scrub(value.String())
		case a.Key == "error" || a.Key == "cause":
			event.Exception = []sentry.Exception{{Type: kindOf(value), Value: scrub(value.String())}}
		case a.Key == "stack":
			panicked = true
		case a.Key == "functions": // those that a process before this one ended in, innermost first
			functions, _ = value.Any().([]string)
		}
		return true
	}
	for _, a := range h.attrs {
		tell(a)
	}
	if !h.grouped {
		record.Attrs(tell)
	}
	if panicked { // the goroutine that logs it is the one that panicked
		event.Level = sentry.LevelFatal
		if len(event.Exception) == 0 {
			event.Exception = []sentry.Exception{{Type: "panic", Value: event.Message}}
		}
		event.Exception[0].Stacktrace = trace()
	}
	if len(functions) > 0 {
		event.Level = sentry.LevelFatal
		if len(event.Exception) == 0 {
			event.Exception = []sentry.Exception{{Type: "panic", Value: event.Message}}
		}
		event.Exception[0].Stacktrace = named(functions)
	}
	h.reporter.client.CaptureEvent(event, nil, nil)
}

// kindOf returns the type of an error's innermost cause, which groups better than its text.
func kindOf(value slog.Value) string {
	err, ok := value.Any().(error)
	if !ok {
		return "panic"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return strings.TrimPrefix(typeName(err), "*")
		}
		err = inner
	}
}

// functionName is what a name of a function has; what has more is none.
var functionName = regexp.MustCompile(`^[\w./*()\[\]{}·…-]+$`)

// named returns a stack of which only the functions are known, innermost first.
func named(functions []string) *sentry.Stacktrace {
	stack := &sentry.Stacktrace{}
	for _, function := range slices.Backward(functions) {
		if functionName.MatchString(function) {
			stack.Frames = append(stack.Frames, sentry.Frame{Function: function})
		}
	}
	return stack
}

// trace returns where the program is, without the folders of the machine that built it.
func trace() *sentry.Stacktrace {
	stack := sentry.NewStacktrace()
	if stack == nil {
		return nil
	}
	kept := stack.Frames[:0]
	for _, frame := range stack.Frames {
		if strings.HasSuffix(frame.Module, "/api/report") && (frame.Function == "trace" || strings.HasPrefix(frame.Function, "(*handler)")) || strings.HasPrefix(frame.Module, "log/slog") {
			continue
		}
		frame.AbsPath, frame.Vars = "", nil
		frame.Filename = frame.Filename[strings.LastIndexByte(frame.Filename, '/')+1:]
		frame.PreContext, frame.ContextLine, frame.PostContext = nil, "", nil
		kept = append(kept, frame)
	}
	stack.Frames = kept
	return stack
}
