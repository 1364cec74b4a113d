package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
)

const (
	// pageSize is how many events one page of history has.
	pageSize = 1000
	// maxAnswer bounds an answer that is read.
	maxAnswer = 16 << 20
)

// client asks a server over HTTP.
type client struct {
	base *url.URL
	http *http.Client
}

func (c *client) close() { c.http.CloseIdleConnections() }

// ask sends a request and reads the answer's JSON.
func (c *client) ask(ctx context.Context, method, path, token string, body, answer any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request of %s: %w", path, err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, content)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	limited := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode != http.StatusOK {
		return &refusal{method + " " + r.URL.Path, response.StatusCode, detailOf(limited)}
	}
	if err := json.NewDecoder(limited).Decode(answer); err != nil {
		return fmt.Errorf("read the answer to %s %s: %w", method, r.URL.Path, err)
	}
	return nil
}

// refusal is an answer that is not 200.
type refusal struct {
	request string
	status  int
	detail  string
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("%s: %d %s: %s", r.request, r.status, http.StatusText(r.status), r.detail)
	if r.status == http.StatusTooManyRequests {
		text += "; " + whatToRaise(r.detail)
	}
	return text
}

// limitSetting is a setting's name in what the server says about a limit.
var limitSetting = regexp.MustCompile(`\b(MAX|REQUESTS)_[A-Z_]+\b`)

// whatToRaise says what the operator of a server can do about a limit that a load test meets.
func whatToRaise(detail string) string {
	switch setting := limitSetting.FindString(detail); setting {
	case "":
		return "name this machine's address in LIMIT_EXEMPT, or raise MAX_CONNECTIONS… and REQUESTS_PER_MINUTE… of the server"
	case "MAX_CONNECTIONS", "MAX_UNAUTHENTICATED_PER_ADDRESS":
		return "raise " + setting + " of the server"
	default:
		return "name this machine's address in LIMIT_EXEMPT, or raise " + setting + " of the server"
	}
}

// detailOf reads what a problem document says.
func detailOf(body io.Reader) string {
	var problem struct {
		Detail string `json:"detail"`
	}
	if err := json.NewDecoder(body).Decode(&problem); err != nil || problem.Detail == "" {
		return "no details"
	}
	return problem.Detail
}

type accounts []struct {
	OwnerID string `json:"ownerId"`
}

// SignIn returns whom to connect as: for every token each of its user's owner
// accounts, or, without tokens, each owner of a demo server. Given owners, it
// returns only those, and an error for one that is not among them.
func SignIn(ctx context.Context, address string, remote bool, tokens, owners []string) ([]Subscriber, error) {
	c, err := newClient(address, remote)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var all []Subscriber
	if len(tokens) == 0 {
		if all, err = c.demoOwners(ctx); err != nil {
			return nil, err
		}
	}
	for _, token := range tokens {
		var me struct {
			Accounts accounts `json:"accounts"`
		}
		if err := c.ask(ctx, http.MethodGet, "/api/auth/me", token, nil, &me); err != nil {
			return nil, fmt.Errorf("ask for the token's owner accounts: %w", err)
		}
		for _, a := range me.Accounts {
			all = append(all, Subscriber{token, a.OwnerID})
		}
	}
	if len(owners) > 0 {
		for _, owner := range owners {
			if !slices.ContainsFunc(all, func(s Subscriber) bool { return s.OwnerID == owner }) {
				return nil, fmt.Errorf("owner account %s belongs to none of the tokens", owner)
			}
		}
		all = slices.DeleteFunc(all, func(s Subscriber) bool { return !slices.Contains(owners, s.OwnerID) })
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the users of the tokens have no owner account")
	}
	return all, nil
}

// demoOwners signs in as every owner of a demo server.
func (c *client) demoOwners(ctx context.Context) ([]Subscriber, error) {
	type session struct {
		Token    string   `json:"token"`
		OwnerID  string   `json:"ownerId"`
		Accounts accounts `json:"accounts"`
	}
	var first session
	if err := c.ask(ctx, http.MethodPost, "/api/auth/demo", "", struct{}{}, &first); err != nil {
		return nil, fmt.Errorf("sign in to the demo (a server without one needs --token or --user): %w", err)
	}
	var all []Subscriber
	for _, a := range first.Accounts {
		var s session
		if err := c.ask(ctx, http.MethodPost, "/api/auth/demo", "", map[string]string{"ownerId": a.OwnerID}, &s); err != nil {
			return nil, fmt.Errorf("sign in to the demo as owner %s: %w", a.OwnerID, err)
		}
		all = append(all, Subscriber{s.Token, s.OwnerID})
	}
	return all, nil
}

// page is a page of an owner's history.
type page struct {
	Events []struct {
		ID string `json:"id"`
	} `json:"events"`
	HasMore bool `json:"hasMore"`
	Resync  bool `json:"resync"`
}

// events returns a page of an owner's history after a position.
func (c *client) events(ctx context.Context, who Subscriber, after string, limit int) (page, error) {
	var p page
	query := url.Values{"after": {after}, "limit": {fmt.Sprint(limit)}}
	path := "/api/owners/" + url.PathEscape(who.OwnerID) + "/events?" + query.Encode()
	if err := c.ask(ctx, http.MethodGet, path, who.Token, nil, &p); err != nil {
		return p, err
	}
	if p.Resync {
		return p, errHistoryGone
	}
	return p, nil
}

// history returns the ids of all of an owner's events after a position, oldest first.
func (c *client) history(ctx context.Context, who Subscriber, after string) ([]string, error) {
	var ids []string
	for {
		p, err := c.events(ctx, who, after, pageSize)
		if err != nil {
			return nil, err
		}
		for _, e := range p.Events {
			ids = append(ids, e.ID)
		}
		if !p.HasMore || len(p.Events) == 0 {
			return ids, nil
		}
		after = ids[len(ids)-1]
	}
}
