package attack

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers/frametest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// routes of an owner account, with the methods that they have.
func routes(a *attackSetup, owner string) [][2]string {
	base := "/api/owners/" + owner
	return [][2]string{
		{"GET", base + "/metrics"}, {"GET", base + "/overview"}, {"GET", base + "/events"}, {"GET", base + "/events?after=" + a.victimEvent},
		{"GET", base + "/bookings"}, {"GET", base + "/bookings?on=today"}, {"GET", base + "/bookings?status=pending"}, {"GET", base + "/bookings/" + a.booking},
		{"GET", base + "/listings"}, {"GET", base + "/trends"}, {"GET", base + "/trends?format=csv"}, {"GET", base + "/members"}, {"GET", base + "/invitations"}, {"DELETE", base + "/invitations/1"},
		{"PATCH", base + "/members/" + a.victim.UserID}, {"DELETE", base + "/members/" + a.victim.UserID}, {"POST", base + "/members"},
	}
}

// isolation asks, with a good token of another owner, for what is the victim's, by
// every way of naming it.
func isolation(a *attackSetup) {
	id := a.victim.ID
	forms := []string{id, "0" + id, "+" + id, "%20" + id, id + "%20", id + ".0", id + "e0", "0x" + id, "%3" + id[:1], id + "%2f", id + "%00", id + ";" + a.attacker.ID,
		id + "," + a.attacker.ID, a.attacker.ID + "%2f..%2f" + id, a.attacker.ID + "/../" + id, a.attacker.ID + "/%2e%2e/" + id, "./" + id, "/" + id, id + "%3fownerId=" + a.attacker.ID,
		"١", "%EF%BC%91", "-" + id, "99999999999999999999", "*", "%25", "null", "undefined", "me", "(select%201)", "1'--", a.victim.UserID + "%0a"}
	for _, form := range some(a, 3, forms) {
		for _, route := range routes(a, form) {
			for _, carrier := range []string{"Authorization: Bearer ", "Cookie: jwt="} {
				a.refused("isolation", route[0]+" "+route[1], a.send(a.plain, request(route[0], route[1], carrier+a.attackerToken,
					"Content-Type: application/json", "", `{"email":"a@b.example","role":"viewer"}`)))
			}
		}
	}
	for _, header := range []string{"X-Owner-Id: ", "X-User-Id: ", "X-Forwarded-User: ", "Remote-User: ", "X-Original-URL: /api/owners/", "X-Rewrite-URL: /api/owners/", "X-Forwarded-For: 127.0.0.1\r\nX-Owner: "} {
		a.judge("isolation", header, a.send(a.plain, request("GET", "/api/owners/"+a.attacker.ID+"/metrics", "Authorization: Bearer "+a.attackerToken, header+id)))
	}
	for _, query := range []string{"?ownerId=" + id, "?ownerId=" + a.attacker.ID + "&ownerId=" + id, "?ownerid=" + id, "?ownerId[]=" + id, "?owner=" + id} {
		a.judge("isolation", query, a.get(a.attackerToken, "/api/owners/"+a.attacker.ID+"/bookings"+query))
	}
	// Another's event ids, and one's own account with them.
	for _, query := range []string{"events?after=", "events?limit=1000&after="} {
		a.refused("isolation", query, a.get(a.attackerToken, "/api/owners/"+a.attacker.ID+"/"+query+a.victimEvent))
	}
	a.refused("isolation", "another's booking", a.get(a.attackerToken, "/api/owners/"+a.attacker.ID+"/bookings/"+a.booking))
	wish := forgedWish(a)
	for _, token := range []string{a.attackerToken, wish} {
		for _, query := range []string{"?ownerId=" + id, "?ownerId=" + id + "&ownerId=" + a.attacker.ID, "?ownerId=0" + id, "?ownerId=" + a.attacker.ID + "&lastEventId=" + a.victimEvent} {
			a.refusedStream("Authorization: Bearer "+token, query)
			a.refusedStream("Sec-WebSocket-Protocol: hangarshare.v1, bearer."+token, query)
			a.refusedStream("Cookie: jwt="+token, query)
			a.judge("isolation", "sse "+query, a.send(a.plain, request("GET", "/api/sse"+query, "Cookie: jwt="+token)))
			a.refused("isolation", "sse "+query, a.send(a.plain, request("GET", "/api/sse"+query, "Authorization: Bearer "+token)))
		}
		for _, owner := range []string{id, `","ownerId":"` + id} {
			a.refused("isolation", "ticket for "+owner, a.send(a.plain, request("POST", "/api/auth/ticket", "Authorization: Bearer "+token,
				"Content-Type: application/json", "", `{"ownerId":"`+owner+`"}`)))
		}
	}
}

// forgedWish is a token of the attacker that names the victim's account as the one it wants.
func forgedWish(a *attackSetup) string {
	return forge(`{"alg":"HS256","typ":"JWT"}`, fmt.Sprintf(`{"sub":"%s","ownerId":"%s","exp":%d}`, a.attacker.UserID, a.victim.ID,
		time.Now().Add(time.Hour).Unix()), sha256.New, harness.Secret)
}

// refusedStream opens a WebSocket that must end before it says anything.
func (a *attackSetup) refusedStream(header, query string) {
	a.t.Helper()
	a.count("isolation", 1)
	conn, err := a.plain.dial("")
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close()
	c, err := frametest.Open(conn, "/api/ws"+query, header)
	if err != nil {
		return // refused before the upgrade
	}
	if got, err := c.Next(); err == nil && got != "close 4403" && got != "close 4400" && got != "close 4401" {
		a.t.Errorf("%s with %.40s is let in: %s", query, header, got)
	}
}

// tickets uses tickets twice, at once, for another account, and guesses them.
func tickets(a *attackSetup) {
	issue := func(body string) string {
		got := a.send(a.plain, request("POST", "/api/auth/ticket", "Authorization: Bearer "+a.attackerToken, "Content-Type: application/json", "", body))
		_, rest, _ := strings.Cut(got.body, `"ticket":"`)
		ticket, _, _ := strings.Cut(rest, `"`)
		if got.status != 200 || ticket == "" {
			a.t.Fatalf("no ticket: %d %s", got.status, got.body)
		}
		return ticket
	}
	open := func(ticket, query string) bool {
		conn, err := a.plain.dial("")
		if err != nil {
			a.t.Error(err)
			return false
		}
		defer conn.Close()
		c, err := frametest.Open(conn, "/api/ws?ticket="+ticket+query)
		if err != nil {
			return false
		}
		got, err := c.Next()
		return err == nil && got == "text connection_established"
	}
	rounds := 3
	if a.full {
		rounds = 20
	}
	for range rounds {
		ticket := issue(`{}`)
		var opened atomic.Int32
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if open(ticket, "") {
					opened.Add(1)
				}
			})
		}
		all.Wait()
		a.count("tickets", 10)
		if opened.Load() != 1 {
			a.t.Errorf("a ticket opens %d streams, want one", opened.Load())
		}
		if a.count("tickets", 1); open(issue(`{"ownerId":"`+a.attacker.ID+`"}`), "&ownerId="+a.victim.ID) {
			a.t.Error("a ticket opens another's account")
		}
	}
	ticket := issue(`{}`)
	for i := range some(a, 4, make([]struct{}, 60)) {
		guess := []byte(ticket)
		guess[i%len(guess)] ^= 1
		if a.count("tickets", 1); open(url.QueryEscape(string(guess)), "") {
			a.t.Errorf("a guess opens a stream: %s for %s", guess, ticket)
		}
	}
	for _, wrong := range []string{"%00", "%27", "..", "0", strings.Repeat("A", 3000), fmt.Sprintf("%s%%20", ticket), strings.ToLower(ticket)} {
		if a.count("tickets", 1); open(wrong, "") {
			a.t.Errorf("the ticket %q opens a stream", wrong)
		}
	}
}
