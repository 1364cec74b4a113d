package handlers

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestBusySignInsAreCounted signs in while another password is being checked: the answer is 429,
// and counts for the limit sign_ins.
func TestBusySignInsAreCounted(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	store, err := db.NewStore(t.Context(), portal.Pool, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	sessions := db.NewSessions(store)
	var refused []string
	busy := semaphore.NewWeighted(1)
	s := &SignIn{
		Account:   Account{Sessions: sessions, Log: slog.New(slog.DiscardHandler)},
		Passwords: &Passwords{sessions, busy, time.Millisecond},
		Devices:   noDevices{},
		MAC:       NewMAC([]byte("a secret of the tests, long enough to sign")),
		Network:   func(*http.Request) Network { return Network{Narrow: "203.0.113.1"} },
		Refused:   func(limit string) { refused = append(refused, limit) },
	}
	signIn := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		s.Login(answer, httptest.NewRequest("POST", "/api/auth/login", strings.NewReader(`{"email":"ana@owner.example","password":"x"}`)))
		return answer
	}
	if !busy.TryAcquire(1) {
		t.Fatal("no password is being checked")
	}
	answer := signIn()
	if answer.Code != http.StatusTooManyRequests || answer.Header().Get("Retry-After") == "" {
		t.Errorf("while others sign in: %d %v %s", answer.Code, answer.Header(), answer.Body)
	}
	if !slices.Equal(refused, []string{"sign_ins"}) {
		t.Errorf("counted are %v", refused)
	}
	busy.Release(1)
	if answer = signIn(); answer.Code != http.StatusUnauthorized || len(refused) != 1 {
		t.Errorf("afterwards: %d %s, counted are %v", answer.Code, answer.Body, refused)
	}
}

// noDevices are browsers on which nobody has signed in before.
type noDevices struct{}

func (noDevices) Device(*http.Request) string                         { return "" }
func (noDevices) Remember(http.ResponseWriter, *http.Request, string) {}
