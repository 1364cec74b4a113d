package api

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// The ways in which a credential comes (see openapi.yaml): message is a WebSocket's own.
const (
	wayHeader      = "header"
	waySubprotocol = "subprotocol"
	wayTicket      = "ticket"
	wayCookie      = "cookie"
	wayMessage     = "message"
	wayNone        = "none" // the hook saw nobody
)

var ways = []string{wayHeader, waySubprotocol, wayTicket, wayCookie, wayMessage, wayNone}

// labelled are counts by the value of a label, all of which are there from the start.
type labelled map[string]*atomic.Int64

func newLabelled(values []string) labelled {
	counts := make(labelled, len(values))
	for _, value := range values {
		counts[value] = new(atomic.Int64)
	}
	return counts
}

// add counts one more; a value that is none of those is left out.
func (l labelled) add(value string) {
	if count := l[value]; count != nil {
		count.Add(1)
	}
}

func (l labelled) collect(name, help, label string) (list []stats.Stat) {
	for value, count := range l {
		list = append(list, stats.Counter(name, help, count.Load()).With(label, value))
	}
	return list
}

// way returns how a credential came.
func (c credential) way() string {
	switch {
	case c.fromHeader, c.early:
		return wayHeader
	case c.ticket != "":
		return wayTicket
	case c.fromCookie:
		return wayCookie
	case c.found:
		return waySubprotocol
	}
	return wayNone
}

// limitNames are the values of the label limit: the settings of Limits, as the texts of refusals
// name them, and the handlers' own.
var limitNames = func() []string {
	names, fields := slices.Clone(handlers.Limits), reflect.TypeFor[Limits]()
	for i := range fields.NumField() {
		if field := fields.Field(i); field.Tag.Get("refuses") != "nobody" {
			names = append(names, strings.ToLower(wordInName.ReplaceAllString(field.Name, "${1}_${2}")))
		}
	}
	return names
}()

var wordInName = regexp.MustCompile(`([a-z])([A-Z])`)

var settingInText = regexp.MustCompile(`\(([A-Z_]+)\)$`)

// refuse makes the refusal of what goes beyond a limit, and counts it.
func (l *Limiter) refuse(detail string, wait time.Duration) *handlers.LimitError {
	if setting := settingInText.FindStringSubmatch(detail); setting != nil {
		l.refused.add(strings.ToLower(setting[1]))
	}
	return &handlers.LimitError{Detail: detail, RetryAfter: wait}
}

// CountRefused counts what another part refused because of one of handlers.Limits.
func (l *Limiter) CountRefused(limit string) {
	if l != nil {
		l.refused.add(limit)
	}
}

// Collect implements stats.Collector.
func (l *Limiter) Collect() []stats.Stat {
	return l.refused.collect(handlers.RefusedName, handlers.RefusedHelp, "limit")
}

// certificateEnd tells when a certificate ends.
func certificateEnd(end time.Time) []stats.Stat {
	if end.IsZero() {
		return nil
	}
	return []stats.Stat{stats.Gauge("hangarshare_certificate_end_seconds", "When the server's certificate ends, in Unix time; the first of several.", float64(end.Unix()))}
}

// Collect implements stats.Collector.
func (c *CertificateFiles) Collect() []stats.Stat {
	if certificate := c.current.Load(); certificate != nil && certificate.Leaf != nil {
		return certificateEnd(certificate.Leaf.NotAfter)
	}
	return nil
}

// Collect implements stats.Collector.
func (a *ACME) Collect() []stats.Stat {
	a.mu.Lock()
	defer a.mu.Unlock()
	var first time.Time
	for _, end := range a.ends {
		if first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return certificateEnd(first)
}

// Collect implements stats.Collector.
func (i *Issuer) Collect() []stats.Stat {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.loaded {
		return nil
	}
	return []stats.Stat{stats.Gauge("hangarshare_jwks_age_seconds", "How old the foreign issuer's keys are.", time.Since(i.fetchedAt).Seconds())}
}

// Collect implements stats.Collector.
func (m *Memory) Collect() []stats.Stat {
	return []stats.Stat{
		stats.Gauge("hangarshare_memory_limit_bytes", "What the Go runtime may use: GOMEMLIMIT, or a part of the container's memory; 0 for no limit.", float64(m.Limit())),
		stats.Gauge("hangarshare_memory_used_bytes", "What it uses: mapped, less what is free or was given back.", float64(m.Used())),
		stats.Counter("hangarshare_memory_sheds_total", "How often events and slow clients were let go because memory ran short.", m.sheds.Load()),
	}
}

// Build names what runs.
type Build struct{ Version, Commit, GoVersion string }

// Collect implements stats.Collector.
func (b Build) Collect() []stats.Stat {
	return []stats.Stat{stats.Gauge("hangarshare_build_info", "1, with what runs.", 1).
		With("version", b.Version, "commit", b.Commit, "goversion", b.GoVersion)}
}
