package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// deed is what somebody asks for in an account, below its address, and the least role it needs.
type deed struct {
	operation string // of openapi.yaml, below /api/owners/{ownerId}
	body      map[string]any
	least     string // viewer, manager or owner
}

// deeds are all operations of an account, with bodies that mean something. A path holds words for
// what an account has: a booking, a notification, a feed, an invitation, a member.
var deeds = []deed{
	{"GET /metrics", nil, "viewer"}, {"GET /overview", nil, "viewer"}, {"GET /calendar", nil, "viewer"},
	{"GET /trends", nil, "viewer"}, {"GET /bookings", nil, "viewer"}, {"GET /bookings/{bookingId}", nil, "viewer"},
	{"GET /listings", nil, "viewer"}, {"GET /events", nil, "viewer"}, {"GET /members", nil, "manager"},
	{"GET /invitations", nil, "manager"}, {"GET /calendar/feeds", nil, "manager"},
	{"POST /calendar/feeds", map[string]any{"detail": "busy", "label": "x"}, "manager"},
	{"DELETE /calendar/feeds/{feedId}", nil, "manager"},
	{"GET /notifications", nil, "viewer"}, {"GET /notifications/preferences", nil, "viewer"}, {"GET /notifications/rules", nil, "viewer"},
	{"PATCH /notifications/{notificationId}", map[string]any{"read": true}, "viewer"},
	{"PATCH /notifications/{notificationId}", map[string]any{"archived": true}, "manager"},
	{"PATCH /notifications/{notificationId}", map[string]any{"read": false, "archived": false}, "manager"},
	{"POST /notifications/read", map[string]any{"through": "1"}, "viewer"},
	{"POST /notifications/seen", map[string]any{"through": "1"}, "viewer"},
	{"POST /notifications/cleared", map[string]any{"until": "2026-01-01T00:00:00Z"}, "viewer"},
	{"PATCH /notifications/preferences", map[string]any{"kind": "booking_created", "channel": "mail", "mode": "off"}, "viewer"},
	{"PATCH /notifications/rules", map[string]any{"kind": "to_confirm", "enabled": false}, "manager"},
	{"POST /members", map[string]any{"email": "new@portal.example", "role": "viewer"}, "manager"},
	{"POST /members", map[string]any{"email": "newer@portal.example", "role": "manager"}, "owner"},
	{"POST /members", map[string]any{"email": "newest@portal.example", "role": "owner"}, "owner"},
	{"DELETE /invitations/{invitationId}", nil, "manager"},
	{"PATCH /members/{userId}", map[string]any{"role": "viewer"}, "manager"},
	{"PATCH /members/{userId}", map[string]any{"role": "manager"}, "owner"},
	{"DELETE /members/{userId}", nil, "manager"},
}

// TestRolesInEveryRoute asks for all that openapi.yaml has of an account: as who has no part in it,
// for whom it is as an account that there is not, and in each role, of which only the lowest that a
// deed needs, and those above, get past 403. A route that has no deed here fails.
func TestRolesInEveryRoute(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	described := readDescription(t).document.Paths
	var operations []string
	for path, item := range described.Map() {
		below, ok := strings.CutPrefix(path, "/api/owners/{ownerId}")
		for method := range item.Operations() {
			if ok {
				operations = append(operations, method+" "+below)
			}
		}
	}
	for _, operation := range operations {
		if !slices.ContainsFunc(deeds, func(d deed) bool { return d.operation == operation }) {
			t.Errorf("nobody tries who may %s", operation)
		}
	}
	roles := []string{"viewer", "manager", "owner"}
	tokens := map[string]string{"owner": s.Token}
	for _, role := range roles[:2] {
		var id string
		id, _, tokens[role] = harness.AddUser(t, s.Portal, role)
		s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, $3)`, s.Owner.ID, id, role)
	}
	_, _, stranger := harness.AddUser(t, s.Portal, "Stranger")
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Portal.AddGuest(t, "Caio", "Lima"))
	response, added := s.Call(t, "POST", "owners/"+s.Owner.ID+"/calendar/feeds", s.Token, map[string]any{"detail": "busy", "label": "a"})
	feed, ok := added["id"].(string)
	if !ok {
		t.Fatalf("a feed: %s %v", response.Status, added)
	}
	s.Call(t, "POST", "owners/"+s.Owner.ID+"/members", s.Token, map[string]any{"email": "first@portal.example", "role": "viewer"})
	invitation := s.Portal.ID(t, `SELECT id FROM realtime.invitations`)
	for n, d := range deeds {
		if !slices.Contains(operations, d.operation) {
			t.Errorf("openapi.yaml has no %s", d.operation)
		}
		method, below, _ := strings.Cut(d.operation, " ")
		user, _, _ := harness.AddUser(t, s.Portal, fmt.Sprintf("Member%d", n))
		s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, s.Owner.ID, user)
		path := strings.NewReplacer("{bookingId}", booking, "{userId}", user, "{notificationId}", "1",
			"{feedId}", feed, "{invitationId}", invitation).Replace(below)
		there, first := s.Call(t, method, "owners/"+s.Owner.ID+path, stranger, d.body)
		nowhere, second := s.Call(t, method, "owners/987654"+path, stranger, d.body)
		a, b := harness.WithoutRequestID(there.Header, harness.EncodeJSON(t, first)), harness.WithoutRequestID(nowhere.Header, harness.EncodeJSON(t, second))
		if there.StatusCode != http.StatusForbidden || a != b || headers(t, there) != headers(t, nowhere) {
			t.Errorf("%s of somebody else: %s %s; of nobody: %s %s", d.operation, there.Status, a, nowhere.Status, b)
		}
		for i, role := range roles {
			response, body := s.Call(t, method, "owners/"+s.Owner.ID+path, tokens[role], d.body)
			may := i >= slices.Index(roles, d.least)
			if refused := response.StatusCode == http.StatusForbidden; refused == may || response.StatusCode >= 500 {
				t.Errorf("%s %v by a %s: %s %v", d.operation, d.body, role, response.Status, body)
			}
		}
	}
}
