package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

const (
	// partsInterval is how often the parts are looked at, for since when they are as they are.
	partsInterval = 2 * time.Second
	// maxConnectionsPage is how many connections one answer lists at most, and connectionsPage
	// where nothing is asked.
	maxConnectionsPage = 1000
	connectionsPage    = 100
)

//go:embed adminpage
var adminPage embed.FS

// Operations are what operators may see and do, beside metrics and health.
type Operations struct {
	Token    string // asked of every request, if it is not empty
	Progress func() (head int64, leading bool)
	// Members returns the other servers that are heard of; nil where that is not known.
	Members func() []MemberState
	// Offset is by how much the database's clock is ahead.
	Offset func() time.Duration
	// Disconnect has every server end connections, and EndSessions a user's sessions.
	Disconnect  func(ctx context.Context, which eventlog.Disconnect) error
	EndSessions func(ctx context.Context, userID string) error
	Build       Build

	started time.Time
	mu      sync.Mutex // guards what follows
	parts   map[string]PartState
	drain   sync.Once
}

// MemberState is a server of the installation.
type MemberState struct {
	ID     string    `json:"id"`
	Own    bool      `json:"own,omitempty"`
	Leader bool      `json:"leader"`
	Head   int64     `json:"head"`
	Heard  time.Time `json:"heard"`
}

// PartState is since when a part is as it is.
type PartState struct {
	Part  string    `json:"part"`
	State string    `json:"state"`
	Since time.Time `json:"since"`
}

// Run implements Service: it looks at the parts, for since when they are as they are.
func (s *Server) watchParts(ctx context.Context) error {
	ticker := time.NewTicker(partsInterval)
	defer ticker.Stop()
	for {
		_, _, parts := s.readiness()
		s.Operations.note(parts)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// note keeps since when each part is as it is.
func (o *Operations) note(parts map[string]string) []PartState {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.parts == nil {
		o.parts, o.started = make(map[string]PartState), time.Now()
	}
	list := make([]PartState, 0, len(parts))
	for part, state := range parts {
		known, ok := o.parts[part]
		if !ok || known.State != state {
			known = PartState{part, state, time.Now()}
			o.parts[part] = known
		}
		list = append(list, known)
	}
	slices.SortFunc(list, func(a, b PartState) int { return cmp.Compare(a.Part, b.Part) })
	return list
}

// operators adds the routes of operators, which ADMIN_TOKEN guards.
func (s *Server) operators(r chi.Router) {
	r.Use(s.requireAdminToken)
	r.Get("/", s.serveAdminPage)
	r.Get("/{file:page\\.(?:js|css)}", s.serveAdminPage)
	r.Get("/state", s.adminState)
	r.Get("/connections", s.adminConnections)
	r.Post("/disconnect", s.adminDisconnect)
	r.Post("/drain", s.adminDrain)
}

// requireAdminToken lets pass who has ADMIN_TOKEN: as Bearer (RFC 6750), or as the password of
// Basic (RFC 7617), which a browser asks for.
func (s *Server) requireAdminToken(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Operations == nil || s.Operations.Token == "" {
			next.ServeHTTP(w, r)
			return
		}
		_, given, basic := r.BasicAuth()
		if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); !basic && strings.EqualFold(scheme, "Bearer") {
			given = strings.TrimSpace(token)
		}
		is, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.Operations.Token))
		if subtle.ConstantTimeCompare(is[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="HangarShare Realtime", charset="UTF-8"`)
			handlers.RespondProblem(w, http.StatusUnauthorized, "this is for operators: send ADMIN_TOKEN as Bearer, or as the password of Basic", "Authorization")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) serveAdminPage(w http.ResponseWriter, r *http.Request) {
	name := cmp.Or(chi.URLParam(r, "file"), "index.html")
	text, err := adminPage.ReadFile("adminpage/" + name)
	if err != nil {
		handlers.RespondError(w, r, s.Log, err)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "no-store")
	w.Write(text)
}

// adminState answers with how this server is.
func (s *Server) adminState(w http.ResponseWriter, _ *http.Request) {
	o := s.Operations
	_, word, parts := s.readiness()
	head, leading := o.Progress()
	members := []MemberState{}
	if o.Members != nil {
		members = o.Members()
	}
	newest := head
	for _, m := range members {
		newest = max(newest, m.Head)
	}
	members = append([]MemberState{{ID: "self", Own: true, Leader: leading, Head: head, Heard: time.Now()}}, members...)
	webSockets, eventStreams := s.Stream.Open()
	list := o.note(parts)
	handlers.RespondJSON(w, http.StatusOK, map[string]any{
		"status": word, "version": o.Build.Version, "commit": o.Build.Commit, "started": o.started,
		"leader": leading, "head": head, "behind": newest - head, "members": members, "parts": list,
		"clockOffsetMs": float64(o.Offset().Microseconds()) / 1000,
		"connections":   map[string]int64{"websocket": webSockets, "sse": eventStreams},
		"memory":        map[string]int64{"used": s.Memory.Used(), "limit": s.Memory.Limit()},
	})
}

// adminConnections answers with a page of this server's connections, by their ids.
func (s *Server) adminConnections(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit := connectionsPage
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxConnectionsPage {
			handlers.RespondProblem(w, http.StatusBadRequest, "limit must be a whole number from 1 to "+strconv.Itoa(maxConnectionsPage), "limit")
			return
		}
		limit = n
	}
	list := s.Stream.List(query.Get("owner"), query.Get("user"), query.Get("after"), limit+1)
	next := ""
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].Connection
	}
	if list == nil {
		list = []stream.Connection{}
	}
	handlers.RespondJSON(w, http.StatusOK, map[string]any{"connections": list, "next": next})
}

// adminDisconnect ends connections on all servers: a user's sessions too, so that they sign in
// again.
func (s *Server) adminDisconnect(w http.ResponseWriter, r *http.Request) {
	var which eventlog.Disconnect
	if !readOperation(w, r, &which) {
		return
	}
	set := 0
	for _, id := range []string{which.User, which.Owner, which.Connection} {
		if id != "" {
			set++
		}
	}
	if set != 1 {
		handlers.RespondProblem(w, http.StatusBadRequest, `say one of {"user":"…"}, {"owner":"…"} and {"connection":"…"}`, "user")
		return
	}
	s.noteOperation(r, "disconnect", which)
	if which.User != "" {
		if err := s.Operations.EndSessions(r.Context(), which.User); err != nil {
			handlers.RespondError(w, r, s.Log, err)
			return
		}
	}
	if err := s.Operations.Disconnect(r.Context(), which); err != nil {
		handlers.RespondError(w, r, s.Log, err)
		return
	}
	handlers.RespondJSON(w, http.StatusAccepted, map[string]any{"disconnecting": which})
}

// adminDrain sends everybody away. The server stays up, not ready, until it is stopped.
func (s *Server) adminDrain(w http.ResponseWriter, r *http.Request) {
	var nothing struct{}
	if !readOperation(w, r, &nothing) {
		return
	}
	s.noteOperation(r, "drain", nil)
	s.Operations.drain.Do(func() {
		s.Log.Info("drained by an operator: not ready until it is stopped")
		s.stopping.Store(true)
		over := drainTime(s.DrainTime, s.Stream.Connections())
		go func() {
			defer crash.Report("drain")
			s.Stream.Drain(context.WithoutCancel(r.Context()), over)
		}()
	})
	handlers.RespondJSON(w, http.StatusAccepted, map[string]string{"status": "stopping"})
}

// noteOperation keeps what an operator did.
func (s *Server) noteOperation(r *http.Request, what string, which any) {
	detail := what
	if which != nil {
		if text, err := json.Marshal(which); err == nil {
			detail += " " + string(text)
		}
	}
	c := clientOf(r.Context())
	if c.address == "" { // a machine with a proxy that speaks for nobody here: its own
		c.address, c.port = peerOf(r.RemoteAddr).String(), portOf(r.RemoteAddr)
	}
	s.Log.Info("an operator acts", "action", detail, "network", c.address)
	s.Journal.Note(db.Entry{Kind: db.JournalAdmin, Network: c.address, Port: c.port, Detail: detail})
}

// readOperation reads what an operator asks for, or refuses it. JSON is asked for: a form of
// another site's page cannot send that.
func readOperation(w http.ResponseWriter, r *http.Request, into any) bool {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		handlers.RespondProblem(w, http.StatusUnsupportedMediaType, "send it as Content-Type: application/json", "Content-Type")
		return false
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, handlers.MaxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		handlers.RespondProblem(w, http.StatusBadRequest, "the body must be a JSON object with ids as texts", "")
		return false
	}
	return true
}

// PartsWatch is a Service that looks at a server's parts.
type PartsWatch struct{ Server *Server }

// Run implements Service.
func (p PartsWatch) Run(ctx context.Context) error { return p.Server.watchParts(ctx) }
