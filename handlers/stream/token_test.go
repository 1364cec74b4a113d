package stream

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// TestTokensAreWarnedOfOnce lets time pass over a session.
func TestTokensAreWarnedOfOnce(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for name, test := range map[string]struct {
		lifetime time.Duration // as the token says; 0 for one that does not
		age      time.Duration // when it arrives
		life     time.Duration // until its end, from its arrival
		warned   time.Duration // before its end
	}{
		"an hour":                    {time.Hour, 0, time.Hour, time.Minute},
		"an hour, half of it over":   {time.Hour, 30 * time.Minute, 30 * time.Minute, time.Minute},
		"a minute":                   {time.Minute, 0, time.Minute, 10 * time.Second},
		"a minute, most of it over":  {time.Minute, 52 * time.Second, 8 * time.Second, 10 * time.Second},
		"a minute of an unknown age": {0, 0, time.Minute, 10 * time.Second},
	} {
		s := sessionUntil(start.Add(test.life), test.lifetime, start)
		warning := max(0, test.life-test.warned)
		leeway := handlers.TokenLeeway(s.viewer.Lifetime)
		for at := time.Duration(0); at < test.life+leeway; at += 500 * time.Millisecond {
			s.tick(start.Add(at))
			var want []string
			if at >= warning {
				want = []string{"token_expiring"}
			}
			if got := said(s); !slices.Equal(got, want) || s.disconnect != nil {
				t.Errorf("%s, after %s: said %v, %v, want %v", name, at, got, s.disconnect, want)
			}
		}
		s.tick(start.Add(test.life + leeway + time.Millisecond))
		if got := said(s); !slices.Equal(got, []string{"token_expiring", "token_expired"}) || s.disconnect == nil || s.disconnect.Code != handlers.CloseUnauthorized {
			t.Errorf("%s, at its end: said %v, %v", name, got, s.disconnect)
		}
	}
}

// TestRefreshWithTheSameTokenWarnsNoMore renews a session with the token that it has, and
// with another.
func TestRefreshWithTheSameTokenWarnsNoMore(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := sessionUntil(now.Add(10*time.Second), time.Minute, now)
	s.tick(now)
	same := s.viewer
	if !s.extend(same) {
		t.Fatal("a token of the same user is refused")
	}
	s.tick(now.Add(time.Second))
	if got := said(s); !slices.Equal(got, []string{"token_expiring"}) {
		t.Errorf("said %v about one token", got)
	}
	another := same
	another.Expires = now.Add(time.Minute)
	s.extend(another)
	s.tick(now.Add(2 * time.Second))
	s.tick(now.Add(51 * time.Second))
	if got := said(s); !slices.Equal(got, []string{"token_expiring", "token_expiring"}) {
		t.Errorf("said %v about two tokens", got)
	}
}

// everybody may see every account.
type anyAccess struct{ noAccounts }

type noAccounts interface{ handlers.Accounts }

func (anyAccess) Access(context.Context, db.Caller, string) (db.Role, error) {
	return db.RoleOwner, nil
}

// TestSessionsOfThePortalAreAskedAbout has a stream of a user whom only the portal knows, which
// ends their session, or makes it longer, or is away.
func TestSessionsOfThePortalAreAskedAbout(t *testing.T) {
	t.Parallel()
	start := time.Now()
	hour := handlers.Viewer{UserID: "7", Expires: start.Add(time.Hour)}
	for name, test := range map[string]struct {
		answer handlers.Viewer
		err    error
		ended  bool
		until  time.Time
	}{
		"as before":     {hour, nil, false, hour.Expires},
		"made longer":   {handlers.Viewer{UserID: "7", Expires: start.Add(2 * time.Hour)}, nil, false, start.Add(2 * time.Hour)},
		"signed out":    {handlers.Viewer{}, handlers.Unauthorized("sign in again"), true, hour.Expires},
		"another user":  {handlers.Viewer{UserID: "8", Expires: hour.Expires}, nil, true, hour.Expires},
		"away":          {handlers.Viewer{}, &handlers.TryLater{Detail: "later", RetryAfter: time.Second}, false, hour.Expires},
		"out of order":  {handlers.Viewer{}, errors.New("unknown"), false, hour.Expires},
		"took too long": {handlers.Viewer{}, context.DeadlineExceeded, false, hour.Expires},
	} {
		s := sessionUntil(hour.Expires, time.Hour, start)
		s.stream.Accounts = anyAccess{}
		asked := 0
		s.viewer.Confirm = func(context.Context) (handlers.Viewer, error) {
			asked++
			test.answer.Confirm = s.viewer.Confirm
			return test.answer, test.err
		}
		for at := time.Duration(0); at < confirmInterval; at += time.Second {
			s.tick(start.Add(at))
		}
		if s.recheckDue || s.confirmDue {
			t.Errorf("%s: it is asked at once", name)
		}
		s.tick(start.Add(confirmInterval))
		if !s.recheckDue || !s.confirmDue {
			t.Errorf("%s: it is not asked after %s", name, confirmInterval)
		}
		_ = s.checkAccess(t.Context())
		if s.recheckDue || s.confirmDue || asked != 1 {
			t.Errorf("%s: asked %d times", name, asked)
		}
		if (s.disconnect != nil) != test.ended || test.ended && s.disconnect.Code != handlers.CloseUnauthorized || !s.viewer.Expires.Equal(test.until) {
			t.Errorf("%s: %v, until %s", name, s.disconnect, s.viewer.Expires.Sub(start))
		}
	}
	s := sessionUntil(hour.Expires, time.Hour, start)
	s.viewer.Confirm = func(context.Context) (handlers.Viewer, error) { return hour, nil }
	s.tick(start.Add(time.Hour + time.Millisecond))
	if s.disconnect == nil {
		t.Error("the stream goes on after the end that the portal has told")
	}
}

// sessionUntil is a session at rest whose token ends at a time.
func sessionUntil(expires time.Time, lifetime time.Duration, arrival time.Time) *session {
	viewer := handlers.Viewer{UserID: "7", Expires: expires, Lifetime: lifetime}
	s := &session{stream: &Server{Heartbeat: time.Hour, queue: newRunQueue(1), log: slog.New(slog.DiscardHandler)}, viewer: viewer, life: viewer.TokenLifetime(arrival)}
	s.nextHeartbeat = arrival.Add(24 * time.Hour)
	return s
}

func said(s *session) (types []string) {
	for _, e := range s.control {
		types = append(types, e.Type)
	}
	return types
}

// TestStartIsAwaitedForAWhile waits for a bus that never begins.
func TestStartIsAwaitedForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := handlers.AwaitBus(t.Context(), realtime.NewBus(noHistory{})); err != realtime.ErrNotReady || time.Since(began) != handlers.StartTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if err := handlers.AwaitBus(gone, realtime.NewBus(noHistory{})); err != realtime.ErrNotReady {
			t.Errorf("who goes is told %v", err)
		}
	})
}

// TestCloseFrame cuts a reason to what a control frame holds, and not within a character.
func TestCloseFrame(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]int{"": 0, "enough": 6, strings.Repeat("x", 123): 123, strings.Repeat("x", 200): 123, strings.Repeat("é", 100): 122} {
		frame := closeFrame(Disconnect{handlers.CloseTooMany, reason})
		if len(frame) != want+4 || int(frame[1]) != want+2 || !strings.HasPrefix(reason, string(frame[4:])) {
			t.Errorf("a reason of %d bytes becomes % x", len(reason), frame)
		}
	}
}
