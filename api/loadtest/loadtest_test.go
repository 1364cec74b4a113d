package loadtest

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestReportCountsWhatTheServerDidWrong(t *testing.T) {
	const foreign = `{"type":"heartbeat","timestamp":1,"ownerId":"9","data":{}}`
	const unreadable = `{"type":`
	const unknown = `{"id":"e99","type":"booking_created","timestamp":1,"ownerId":"7","data":{}}`
	const metrics = `{"type":"metrics_updated","timestamp":1,"ownerId":"7","data":{}}`
	const resync = `{"type":"resync","timestamp":1,"ownerId":"7","data":{"lastEventId":"after-1"}}`
	always := func(messages ...string) func(int) []string { return func(int) []string { return messages } }
	cases := []struct {
		name string
		fake *fake
		want Report // of two connections
	}{
		{"nothing", &fake{}, Report{Compared: 2}},
		{"a message between", &fake{script: always(append([]string{metrics}, events(1, 2, 3, 4, 5)...)...)}, Report{Compared: 2}},
		{"lost by both", &fake{script: always(events(1, 3, 5)...)}, Report{Compared: 2, Lost: 4}},
		{"lost by one", &fake{script: func(i int) []string {
			return events([]int{1, 2, 3, 4, 5}[i:]...)
		}}, Report{Compared: 2, Lost: 1}},
		{"doubled", &fake{script: always(events(1, 2, 2, 1, 3, 4, 5)...)}, Report{Compared: 2, Doubled: 4}},
		{"out of order", &fake{script: always(events(2, 1, 4, 3, 5)...)}, Report{Compared: 2, Reordered: 4}},
		{"from before the beginning", &fake{
			start: func(int) string { return "after-2" }, script: always(events(3, 4, 2, 5)...),
		}, Report{Compared: 2, Unknown: 2}},
		{"not in history", &fake{script: always(append([]string{unknown}, events(1, 2, 3, 4, 5)...)...)}, Report{Compared: 2, Unknown: 2}},
		{"another owner's", &fake{script: always(append([]string{foreign}, events(1, 2, 3, 4, 5)...)...)}, Report{Compared: 2, Foreign: 2}},
		{"unreadable", &fake{script: always(append([]string{unreadable}, events(1, 2, 3, 4, 5)...)...)}, Report{Compared: 2, Unreadable: 2}},
		{"cut off", &fake{script: always(events(1, 2)...), code: 4408}, Report{Compared: 2, Disconnects: map[int]int{4408: 2}}},
		{"cut off after a loss", &fake{script: always(events(1, 3)...), code: 1001},
			Report{Compared: 2, Lost: 2, Disconnects: map[int]int{1001: 2}}},
		{"resync", &fake{script: always(append([]string{resync}, events(5)...)...)}, Report{Resynced: 2}},
		{"no history any more", &fake{gone: true}, Report{Unverified: 2, UnverifiedWhy: errHistoryGone.Error()}},
		{"places found by events", &fake{
			start:  func(i int) string { return []string{"e3", "e1"}[i] },
			script: func(i int) []string { return events([][]int{{4, 5}, {2, 4, 5}}[i]...) },
		}, Report{Compared: 2, Lost: 1}},
		{"places found by what follows", &fake{
			start:  func(i int) string { return []string{"after-3", "after-1"}[i] },
			script: func(i int) []string { return events([][]int{{5}, {2, 3, 5}}[i]...) },
		}, Report{Compared: 2, Lost: 2}},
		{"a place at the end", &fake{
			start:  func(i int) string { return []string{"after-5", "after-4"}[i] },
			script: func(i int) []string { return events([]int{5}[:i]...) },
		}, Report{Compared: 2}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, transport Transport) {
				f := newFake(t, &fake{history: events(1, 2, 3, 4, 5), gone: c.fake.gone,
					start: c.fake.start, script: c.fake.script, code: c.fake.code})
				got, err := Run(t.Context(), f.options(transport, 2))
				if err != nil {
					t.Fatal(err)
				}
				if got.Connections != 2 || got.Failed != 0 || got.Owners != 1 || !got.Local {
					t.Errorf("the report's head is %+v", got)
				}
				want := c.want
				if want.Disconnects == nil {
					want.Disconnects = map[int]int{}
				}
				if findings := findingsOf(got); !reflect.DeepEqual(findings, findingsOf(want)) {
					t.Errorf("found %+v\nwant  %+v", findings, want)
				}
			})
		})
	}
}

// findingsOf leaves only what a load test found wrong.
func findingsOf(r Report) Report {
	return Report{Compared: r.Compared, Lost: r.Lost, Doubled: r.Doubled, Reordered: r.Reordered, Unknown: r.Unknown, Foreign: r.Foreign,
		Unreadable: r.Unreadable, Resynced: r.Resynced, Unverified: r.Unverified, UnverifiedWhy: r.UnverifiedWhy, Disconnects: r.Disconnects}
}

func TestBookingsAreMeasuredFromCommit(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport Transport) {
		got := runLonger(t, func(d time.Duration) Options {
			f := newFake(t, &fake{})
			o := f.options(transport, 3)
			o.Booker, o.Rate, o.Duration = &booker{fake: f}, 500, d
			return o
		})
		if got.Bookings == 0 || got.CommitLatency == nil || got.CommitLatency.Count != 3*got.Bookings {
			t.Errorf("%d bookings, commit latencies %v: want one for each of 3 connections", got.Bookings, got.CommitLatency)
		}
		if err := got.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestABookingThatFailsIsReported(t *testing.T) {
	got := runLonger(t, func(d time.Duration) Options {
		o := newFake(t, &fake{}).options(WebSocket, 1)
		o.Booker, o.Rate, o.Duration = failing{}, 500, d
		return o
	})
	if got.Bookings != 0 || got.BookingsFailed == 0 || got.BookingError != "no table" || got.Err() == nil {
		t.Errorf("%+v", got)
	}
}

// runLonger runs for so long that somebody came to book: on a slow machine a short run is over
// before that.
func runLonger(t *testing.T, options func(time.Duration) Options) Report {
	t.Helper()
	for d := 50 * time.Millisecond; ; d *= 2 {
		got, err := Run(t.Context(), options(d))
		if err != nil {
			t.Fatal(err)
		}
		if got.Bookings+got.BookingsFailed > 0 || d > time.Minute {
			return got
		}
	}
}

type failing struct{}

func (failing) Book(context.Context, string) (string, func() error, error) {
	return "", nil, errors.New("no table")
}

func TestMessagesInPieces(t *testing.T) {
	piecemeal := func(conn net.Conn, frames []byte) {
		for i := range frames {
			conn.Write(frames[i : i+1])
		}
	}
	long := `{"id":"e2","type":"booking_updated","timestamp":2,"ownerId":"7","data":{"guestName":"` + strings.Repeat("Ana", 5000) + `"}}`
	history := []string{event(1), long, event(3)}
	eachTransport(t, func(t *testing.T, transport Transport) {
		f := newFake(t, &fake{history: history, write: piecemeal})
		got, err := Run(t.Context(), f.options(transport, 2))
		if err != nil || got.Compared != 2 || got.Err() != nil {
			t.Errorf("%v, %v: %+v", err, got.Err(), got)
		}
	})
}

func TestCancellationEndsEverything(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport Transport) {
		f := newFake(t, &fake{history: events(1, 2, 3)})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := f.options(transport, 5)
		o.Duration = MaxDuration
		o.Progress = func(p Progress) {
			if p.Open == 5 && p.Deliveries == 15 {
				cancel()
			}
		}
		got, err := Run(ctx, o)
		if !errors.Is(err, context.Canceled) || got.Connections != 5 || got.Deliveries > 15 || got.Compared != 0 || len(got.Disconnects) != 0 {
			t.Errorf("%v: %+v", err, got)
		}
	})
	t.Run("while opening", func(t *testing.T) {
		f := newFake(t, &fake{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got, err := Run(ctx, f.options(WebSocket, 100))
		if !errors.Is(err, context.Canceled) || got.Connections != 0 || got.Failed != 100 {
			t.Errorf("%v: %+v", err, got)
		}
	})
}

func TestAServerThatRefusesIsQuoted(t *testing.T) {
	f := newFake(t, &fake{})
	o := f.options(WebSocket, 2)
	o.Subscribers = []Subscriber{{"wrong", "8"}}
	f.Config.Handler = refusing{}
	got, err := Run(t.Context(), o)
	if err == nil || got.Failed != 2 || !strings.Contains(err.Error(), "GET /api/ws: 403 Forbidden: not your account") {
		t.Errorf("%v: %+v", err, got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{URL: "http://127.0.0.1:1", Connections: 1, Duration: 1, Transport: WebSocket, Subscribers: []Subscriber{{}}}
	for name, spoil := range map[string]func(*Options){
		"connections must be":       func(o *Options) { o.Connections = MaxConnections + 1 },
		"duration must be":          func(o *Options) { o.Duration = MaxDuration + 1 },
		"ramp must be":              func(o *Options) { o.Ramp = -1 },
		"neither ws nor sse":        func(o *Options) { o.Transport = "fax" },
		"nobody to connect as":      func(o *Options) { o.Subscribers = nil },
		"needs a database":          func(o *Options) { o.Rate = 1 },
		"is not on this machine":    func(o *Options) { o.URL = "https://hangars.example" },
		"is no server's address":    func(o *Options) { o.URL = "127.0.0.1:8080" },
		"connect: connection refus": func(*Options) {},
	} {
		o := good
		spoil(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error that says %q, got %v", name, err)
		}
	}
}

func TestSignIn(t *testing.T) {
	f := newFake(t, &fake{})
	for _, c := range []struct {
		tokens, owners []string
		want           []Subscriber
		err            string
	}{
		{nil, nil, []Subscriber{{fakeToken, fakeOwner}}, ""},
		{[]string{fakeToken}, nil, []Subscriber{{fakeToken, fakeOwner}, {fakeToken, "8"}}, ""},
		{[]string{fakeToken}, []string{"8"}, []Subscriber{{fakeToken, "8"}}, ""},
		{[]string{fakeToken}, []string{"9"}, nil, "owner account 9"},
		{[]string{"wrong"}, nil, nil, "who are you?"},
	} {
		got, err := SignIn(t.Context(), f.URL, false, c.tokens, c.owners)
		if !reflect.DeepEqual(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("SignIn(%v, %v) = %v, %v", c.tokens, c.owners, got, err)
		}
	}
}
