package db

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// pruneStep is how many notifications are removed at once at most, and keptNotifications how
	// many an account has at most.
	pruneStep         = 1000
	keptNotifications = 10_000
	// overbookedDays is for how many days from today the nights of hangars are counted.
	overbookedDays = 731
	// unpaidStep is how often bookings are looked for that are unpaid before they begin: no index
	// of the portal's finds these.
	unpaidStep = 10 * time.Minute
	// dayStep is how often it is looked whether anything is left of what was told of a day.
	dayStep = 10 * time.Minute
	// occupancyStep is how often the occupancy to come is looked at, occupancyDays how many days
	// that is, and occupancyRecovery by how many percent it must exceed the rule's to have
	// recovered.
	occupancyStep     = time.Hour
	occupancyDays     = 7
	occupancyRecovery = 5
)

// RuleParams are the parameters of rules; each kind has some.
type RuleParams struct {
	// how long a booking is pending, or before its check-in it is unpaid
	Hours int `json:"hours,omitempty"`
	// a time of day, HH:MM
	At string `json:"at,omitempty"`
	// less than this share of the nights to come is sold
	Percent int `json:"percent,omitempty"`
}

// RuleKind is a rule: its defaults and what may be chosen.
type RuleKind struct {
	Kind     string
	Defaults RuleParams
	Enabled  bool // by default
	// MaxHours bounds Hours; 0 where the kind has none.
	MaxHours int
}

// RuleKinds are all rules, in the order in which they are listed.
var RuleKinds = []RuleKind{
	{Kind: KindToConfirm, Defaults: RuleParams{Hours: 2}, Enabled: true, MaxHours: 48},
	{Kind: KindUnpaid, Defaults: RuleParams{Hours: 24}, Enabled: true, MaxHours: 72},
	{Kind: KindArrivesTomorrow, Defaults: RuleParams{At: "18:00"}, Enabled: true},
	{Kind: KindLeavesToday, Defaults: RuleParams{At: "07:00"}, Enabled: true},
	{Kind: KindPayoutTomorrow, Defaults: RuleParams{At: "18:00"}, Enabled: true},
	{Kind: KindOccupancyLow, Defaults: RuleParams{Percent: 30}},
}

// RuleOf returns a rule by its kind; ok is false where there is none.
func RuleOf(kind string) (rule RuleKind, ok bool) {
	i := slices.IndexFunc(RuleKinds, func(r RuleKind) bool { return r.Kind == kind })
	if i < 0 {
		return rule, false
	}
	return RuleKinds[i], true
}

// ruleSet is what accounts decided, by kind and account.
type ruleSet map[string]map[string]Rule

func (s ruleSet) of(kind, ownerID string) (params RuleParams, enabled bool) {
	rule, _ := RuleOf(kind)
	params, enabled = rule.Defaults, rule.Enabled
	if own, ok := s[kind][ownerID]; ok {
		enabled = own.Enabled
		var chosen RuleParams
		if json.Unmarshal(own.Params, &chosen) == nil {
			params = mergedParams(params, chosen)
		}
	}
	return params, enabled
}

// mergedParams returns params with what was chosen.
func mergedParams(params, chosen RuleParams) RuleParams {
	if chosen.Hours > 0 {
		params.Hours = chosen.Hours
	}
	if chosen.At != "" {
		params.At = chosen.At
	}
	if chosen.Percent > 0 {
		params.Percent = chosen.Percent
	}
	return params
}

// Merge returns the parameters of a rule with what was chosen of them.
func (r RuleKind) Merge(chosen json.RawMessage) RuleParams {
	var own RuleParams
	if len(chosen) == 0 || json.Unmarshal(chosen, &own) != nil {
		return r.Defaults
	}
	return mergedParams(r.Defaults, own)
}

// RuleFacts are the facts of a notification that time brings.
type RuleFacts struct {
	BookingID    string  `json:"bookingId,omitempty"`
	HangarID     string  `json:"hangarId,omitempty"`
	HangarNumber string  `json:"hangarNumber,omitempty"`
	Amount       Decimal `json:"amount,omitempty"`
	CheckInDate  string  `json:"checkInDate,omitempty"`
	CheckOutDate string  `json:"checkOutDate,omitempty"`
	Date         string  `json:"date,omitempty"` // YYYY-MM-DD
	Spaces       int     `json:"spaces,omitempty"`
	Stays        int     `json:"stays,omitempty"`
	Bookings     int     `json:"bookings,omitempty"`
	Percent      string  `json:"percent,omitempty"`
	AccountID    string  `json:"accountId,omitempty"`
	InvitationID string  `json:"invitationId,omitempty"`
	MemberID     string  `json:"memberId,omitempty"`
	Role         string  `json:"role,omitempty"`
}

// groups asks for groups of notifications that are over.
func (n *Notices) groups(ctx context.Context, query string, args ...any) (ended []EndedGroup, err error) {
	var rows []struct {
		OwnerID string `db:"owner_id"`
		Group   string `db:"group_key"`
	}
	if err := n.list(ctx, &rows, func(*notificationQueries) string { return query }, args...); err != nil {
		return nil, fmt.Errorf("read what is over: %w", err)
	}
	for _, r := range rows {
		ended = append(ended, EndedGroup{r.OwnerID, r.Group})
	}
	return ended, nil
}

// list asks one of the questions about notifications.
func (n *Notices) list(ctx context.Context, into any, ask func(*notificationQueries) string, args ...any) error {
	return n.ask(ctx, into, func(q *queries) string { return ask(&q.notifications) }, args...)
}

// ask asks any question.
func (n *Notices) ask(ctx context.Context, into any, ask question, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	return n.store.asking(ctx, func(w *written) error { return n.store.pool.SelectContext(ctx, into, ask(&w.sql), args...) })
}

func (n *Notices) allRules(ctx context.Context) (ruleSet, error) {
	var rows []struct {
		OwnerID string `db:"owner_id"`
		Rule
	}
	err := n.list(ctx, &rows, func(*notificationQueries) string {
		return `SELECT owner_id, kind, params, enabled FROM realtime.rules`
	})
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	set := ruleSet{}
	for _, r := range rows {
		if set[r.Kind] == nil {
			set[r.Kind] = map[string]Rule{}
		}
		set[r.Kind][r.OwnerID] = r.Rule
	}
	return set, nil
}

// hours returns the hours of day at which accounts want to be told of a kind, as far as one of them
// came after from and up to now: with the newest time at which it came.
func (n *Notices) hours(rules ruleSet, kind string, from, now time.Time) map[string]time.Time {
	rule, _ := RuleOf(kind)
	due := map[string]time.Time{rule.Defaults.At: {}}
	for _, own := range rules[kind] {
		due[rule.Merge(own.Params).At] = time.Time{}
	}
	for at := range due {
		came := false
		for _, offset := range []int{0, -1} { // today's, else yesterday's
			if t := atHour(dayOffset(now, offset, n.store.loc), at); !came && t.After(from) && !t.After(now) {
				due[at], came = t, true
			}
		}
		if !came {
			delete(due, at)
		}
	}
	return due
}

// atHour returns an hour of the day that begins at a moment. One that the clocks skip is as long
// after midnight as on other days.
func atHour(day time.Time, at string) time.Time {
	hour, minute, _ := strings.Cut(at, ":")
	h, _ := strconv.Atoi(hour)
	m, _ := strconv.Atoi(minute)
	y, mo, d := day.Date()
	t := time.Date(y, mo, d, h, m, 0, 0, day.Location())
	if t.Before(day) {
		return day
	}
	return t
}
