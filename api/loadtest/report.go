package loadtest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// tooManyCode is the close code of a stream that went beyond a limit.
const tooManyCode = 4429

// Report is what a load test found.
type Report struct {
	URL         string    `json:"url"`
	Transport   Transport `json:"transport"`
	Owners      int       `json:"owners"`
	Local       bool      `json:"local"`
	Connections int       `json:"connections"` // opened
	Failed      int       `json:"failed"`      // not opened
	FirstError  string    `json:"firstError,omitempty"`
	OpenSeconds float64   `json:"openSeconds"`

	Seconds    float64  `json:"seconds"`    // measured, with all connections open
	Deliveries int64    `json:"deliveries"` // events and metrics, meanwhile
	PerSecond  float64  `json:"deliveriesPerSecond"`
	Latency    *Latency `json:"latency,omitempty"` // of events: their arrival minus their timestamp

	Bookings       int64    `json:"bookings,omitempty"` // committed by the load test itself
	BookingsFailed int64    `json:"bookingsFailed,omitempty"`
	BookingError   string   `json:"bookingError,omitempty"`
	CommitLatency  *Latency `json:"commitLatency,omitempty"` // from sending the commit to arrival

	Compared int `json:"compared"` // connections compared with their owner's history
	Lost     int `json:"lost"`     // in the owner's history, but not received
	Doubled  int `json:"doubled"`  // received again on the same connection
	// received after a later one, or from before the stream's beginning
	Reordered  int   `json:"reordered"`
	Unknown    int   `json:"unknown"`    // received, but not in the owner's history
	Foreign    int64 `json:"foreign"`    // another owner's
	Unreadable int64 `json:"unreadable"` // no message at all

	// connections that were told to load snapshots again: not compared
	Resynced int `json:"resynced"`
	// connections whose history could not be read: not compared
	Unverified    int         `json:"unverified"`
	UnverifiedWhy string      `json:"unverifiedWhy,omitempty"`
	Disconnects   map[int]int `json:"disconnects"` // by close code
	Server        *Server     `json:"server,omitempty"`
}

// sum fills in what the run has counted.
func (r *run) sum(report *Report) {
	report.PerSecond = float64(report.Deliveries) / report.Seconds
	report.Latency, report.CommitLatency = r.latency.summary(), r.commitLatency.summary()
	report.Foreign, report.Unreadable = r.foreign.Load(), r.unreadable.Load()
	report.Bookings, report.BookingsFailed = r.booked.Load(), r.bookFailed.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	report.Disconnects = maps.Clone(r.disconnects)
	if r.firstError != nil {
		report.FirstError = r.firstError.Error()
	}
	if r.bookError != nil {
		report.BookingError = r.bookError.Error()
	}
}

// Err returns an error that says what went wrong on the server's side, nil if nothing did.
func (r Report) Err() error {
	var wrong []string
	for _, c := range []struct {
		count int64
		what  string
	}{
		{int64(r.Failed), "connections not opened"}, {int64(r.Lost), "lost"}, {int64(r.Doubled), "doubled"},
		{int64(r.Reordered), "out of order"}, {int64(r.Unknown), "unknown to history"}, {r.Foreign, "of another owner"},
		{r.Unreadable, "unreadable"}, {int64(r.Unverified), "connections not compared"}, {r.BookingsFailed, "bookings failed"},
	} {
		if c.count > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", c.count, c.what))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, ", "))
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("server", "%s over %s, %d owner(s)", r.URL, r.Transport, r.Owners)
	row("connections", "%d opened in %.2f s, %d failed", r.Connections, r.OpenSeconds, r.Failed)
	if r.FirstError != "" {
		row("", "%s", r.FirstError)
	}
	row("deliveries", "%d in %.1f s, %.1f/s", r.Deliveries, r.Seconds, r.PerSecond)
	if r.Latency != nil {
		row("timestamp → receive", "%s", r.Latency)
		if r.Local {
			row("", "timestamps are whole milliseconds, of the transaction's start")
		} else {
			row("", "includes how far this clock and the database's are apart")
		}
	}
	if r.Bookings+r.BookingsFailed > 0 {
		row("bookings", "%d committed, %d failed", r.Bookings, r.BookingsFailed)
		if r.BookingError != "" {
			row("", "%s", r.BookingError)
		}
	}
	if r.CommitLatency != nil {
		row("commit → receive", "%s", r.CommitLatency)
	}
	row("compared", "%d connections with their owner's history", r.Compared)
	row("lost", "%d", r.Lost)
	row("doubled", "%d", r.Doubled)
	row("out of order", "%d", r.Reordered)
	if r.Unknown > 0 {
		row("unknown", "%d events that the owner's history does not have", r.Unknown)
	}
	if r.Foreign > 0 {
		row("foreign", "%d messages of another owner", r.Foreign)
	}
	if r.Unreadable > 0 {
		row("unreadable", "%d messages", r.Unreadable)
	}
	if r.Resynced > 0 {
		row("not compared", "%d connections: history had to be loaded again (resync)", r.Resynced)
	}
	if r.Unverified > 0 {
		row("not compared", "%d connections: %s", r.Unverified, r.UnverifiedWhy)
	}
	disconnects := "none"
	if len(r.Disconnects) > 0 {
		var parts []string
		for _, code := range slices.Sorted(maps.Keys(r.Disconnects)) {
			parts = append(parts, fmt.Sprintf("%d with code %d", r.Disconnects[code], code))
		}
		disconnects = strings.Join(parts, ", ")
	}
	row("disconnects", "%s", disconnects)
	if r.Disconnects[tooManyCode] > 0 {
		row("", "%d is a limit: %s", tooManyCode, whatToRaise(""))
	}
	if s := r.Server; s != nil {
		row("server memory", "%.1f MiB before, %.1f with all connected (%.1f KiB each), %.1f at the end",
			mib(s.BeforeKiB), mib(s.ConnectedKiB), s.PerConnectionKiB, mib(s.AfterKiB))
		row("server CPU", "%.2f s in %.1f s, %.1f s per million deliveries (process %d)", s.CPUSeconds, r.Seconds, s.CPUPerMillion, s.PID)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func mib(kib int64) float64 { return float64(kib) / 1024 }

// String implements fmt.Stringer.
func (l *Latency) String() string {
	return fmt.Sprintf("p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms (%d events)", l.P50, l.P95, l.P99, l.Max, l.Count)
}
