package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// feedReads is how often a feed may be read in an hour.
	feedReads = 60
	// feedReaders is for how many feeds that is counted: for those that were read last.
	feedReaders = 1 << 14
	// maxLabel is how many characters a feed's label has.
	maxLabel = 80
)

// FeedPath begins the addresses of feeds. What follows is a secret.
const FeedPath = "/calendar/"

// feedSecret is the form of a feed's secret: 32 bytes in base64url.
var feedSecret = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// FeedRegister keeps feeds.
type FeedRegister interface {
	Feeds(ctx context.Context, ownerID string) ([]db.Feed, error)
	AddFeed(ctx context.Context, f db.Feed) (made db.Feed, secret string, err error)
	RevokeFeed(ctx context.Context, ownerID, id string) error
}

// FeedReader opens a feed for a reader that has its secret.
type FeedReader interface {
	OpenFeed(ctx context.Context, secret, agent string, now time.Time) (db.Feed, db.FeedContent, error)
	Location() *time.Location
}

// Feeds serves the addresses under which other calendars read bookings, and lets owners and
// managers make and revoke them.
type Feeds struct {
	Accounts Accounts
	Register FeedRegister
	Reader   FeedReader
	// Link is the portal's page of a booking, with {id}, or empty.
	Link    string
	Now     func() time.Time
	Refused RefusedFunc
	Log     *slog.Logger

	mu    sync.Mutex // guards reads
	reads *simplelru.LRU[string, *rate.Limiter]
}

// feed is a feed as clients get it. Address is there only in the answer that made it.
type feed struct {
	ID        string        `json:"id"`
	HangarID  *string       `json:"hangarId"`
	Detail    db.FeedDetail `json:"detail"`
	Label     string        `json:"label"`
	CreatedBy string        `json:"createdBy"`
	CreatedAt string        `json:"createdAt"`
	ReadAt    *string       `json:"readAt"`
	Agent     string        `json:"agent"`
	Address   string        `json:"address,omitempty"`
}

func (f *Feeds) feedOf(from db.Feed) feed {
	zone := f.Reader.Location()
	out := feed{ID: from.ID, Detail: from.Detail, Label: from.Label, CreatedBy: from.CreatedByName,
		CreatedAt: from.CreatedAt.In(zone).Format(time.RFC3339), Agent: from.Agent}
	if from.HangarID != "" {
		out.HangarID = &from.HangarID
	}
	if from.ReadAt.Valid {
		out.ReadAt = momentOrNull(from.ReadAt.Time.In(zone))
	}
	return out
}

// authorize returns who makes feeds of which account.
func (f *Feeds) authorize(r *http.Request) (grant, error) {
	return authorizeManager(r, f.Accounts, "only owners and managers may give out feeds")
}

// List answers with an account's feeds, without their addresses: those are secret.
func (f *Feeds) List(w http.ResponseWriter, r *http.Request) {
	g, err := f.authorize(r)
	if err != nil {
		RespondError(w, r, f.Log, err)
		return
	}
	found, err := f.Register.Feeds(r.Context(), g.ownerID)
	if err != nil {
		RespondError(w, r, f.Log, err)
		return
	}
	list := make([]feed, 0, len(found))
	for _, one := range found {
		list = append(list, f.feedOf(one))
	}
	respondPrivate(w, r, f.Log, map[string]any{"feeds": list})
}

// Add makes a feed, and answers with its address this once.
func (f *Feeds) Add(w http.ResponseWriter, r *http.Request) {
	made, err := f.add(r)
	if err != nil {
		RespondError(w, r, f.Log, err)
		return
	}
	RespondJSON(w, http.StatusCreated, made)
}

func (f *Feeds) add(r *http.Request) (feed, error) {
	g, err := f.authorize(r)
	if err != nil {
		return feed{}, err
	}
	var body struct {
		HangarID *string
		Detail   db.FeedDetail
		Label    string
	}
	if err := readBody(r, &body, `{"detail":"busy","label":"Airbnb"}`); err != nil {
		return feed{}, err
	}
	wanted := db.Feed{OwnerID: g.ownerID, CreatedBy: g.viewer.UserID, Detail: body.Detail, Label: cleanText(body.Label)}
	if body.HangarID != nil {
		wanted.HangarID = *body.HangarID
	}
	switch {
	case wanted.Detail != db.FeedBusy && wanted.Detail != db.FeedFull:
		return feed{}, Invalid("detail", "detail is busy, which names nobody, or full, with guests' names")
	case wanted.Label == "" || len([]rune(wanted.Label)) > maxLabel:
		return feed{}, Invalid("label", "label must name the feed in 1 to 80 characters")
	}
	made, secret, err := f.Register.AddFeed(r.Context(), wanted)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return feed{}, Invalid("hangarId", "hangarId is no hangar of this account: leave it out for all of them")
	case errors.Is(err, db.ErrTooMany):
		return feed{}, conflict("the account has 100 feeds: revoke one that nobody reads any more")
	case err != nil:
		return feed{}, err
	}
	out := f.feedOf(made)
	out.Address = FeedPath + secret + ".ics"
	return out, nil
}

// Revoke ends a feed. Its address answers with an empty calendar for a week, then with 404.
func (f *Feeds) Revoke(w http.ResponseWriter, r *http.Request) {
	g, err := f.authorize(r)
	if err == nil {
		err = f.Register.RevokeFeed(r.Context(), g.ownerID, r.PathValue("feedId"))
	}
	if errors.Is(err, db.ErrNotFound) {
		err = notFound("there is no such feed")
	}
	if err != nil {
		RespondError(w, r, f.Log, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Serve answers a calendar that reads a feed. Nothing but the address is asked of it.
func (f *Feeds) Serve(w http.ResponseWriter, r *http.Request) {
	secret := r.PathValue("token")
	if !feedSecret.MatchString(secret) {
		RespondError(w, r, f.Log, notFound("there is no such calendar"))
		return
	}
	if limit := f.limit(secret); limit != nil {
		RespondError(w, r, f.Log, limit)
		return
	}
	agent := cleanText(r.UserAgent())
	opened, content, err := f.Reader.OpenFeed(r.Context(), secret, agent, f.Now())
	if errors.Is(err, db.ErrNotFound) {
		f.forget(secret)
		err = notFound("there is no such calendar")
	}
	if err != nil {
		RespondError(w, r, f.Log, err)
		return
	}
	w.Header().Set("Cache-Control", "private, max-age=300")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Robots-Tag", "noindex, nofollow")
	NewContent(encodeFeed(opened, content, f.Reader.Location(), f.Link)).Respond(w, r, "text/calendar; charset=utf-8")
}

// limit counts a read of a feed.
func (f *Feeds) limit(secret string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reads == nil {
		reads, err := simplelru.NewLRU[string, *rate.Limiter](feedReaders, nil)
		if err != nil {
			panic(err) // only for a size that is not positive
		}
		f.reads = reads
	}
	limiter, ok := f.reads.Get(secret)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(time.Hour/feedReads), feedReads)
		f.reads.Add(secret, limiter)
	}
	if now := f.Now(); !limiter.AllowN(now, 1) {
		f.Refused.count(LimitFeedReads)
		return &LimitError{Detail: "this calendar may be read 60 times an hour: come back later", RetryAfter: time.Hour / feedReads}
	}
	return nil
}

// forget drops the count of what is no feed: guesses must not push out feeds.
func (f *Feeds) forget(secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads.Remove(secret)
}

// LoggedPath returns the path of a request without what is secret in it.
func LoggedPath(path string) string {
	if strings.HasPrefix(path, FeedPath) {
		return FeedPath + "…"
	}
	return path
}
