package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
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

// Payouts returns the payouts that were sent of some bookings, and ends what was told some accounts
// of payouts that were taken back.
func (n *Notices) Payouts(ctx context.Context, bookings, ownerIDs []string) (sent []Happening, back []EndedGroup, err error) {
	var rows []struct {
		OwnerID string    `db:"owner_id"`
		At      time.Time `db:"paid_out_at"`
		Number  int
		Amount  Decimal
	}
	if err := n.list(ctx, &rows, func(q *notificationQueries) string { return q.payouts }, pq.Array(bookings)); err != nil {
		return nil, nil, fmt.Errorf("read payouts: %w", err)
	}
	for _, r := range rows {
		moment := strconv.FormatInt(r.At.UnixMicro(), 10)
		sent = append(sent, Happening{OwnerID: r.OwnerID, Kind: KindPayoutSent, Key: GroupOf(KindPayoutSent, moment), Subject: moment,
			Facts: RuleFacts{Amount: r.Amount, Date: r.At.In(n.store.loc).Format(time.DateOnly), Bookings: r.Number}, At: r.At})
	}
	back, err = n.groups(ctx, payoutsBackQuery, pq.Array(ownerIDs))
	return sent, back, err
}

// payoutsBackQuery is what was told some accounts of payouts of which nothing is left. Parameter: 1
// the accounts.
const payoutsBackQuery = `SELECT n.owner_id, n.group_key FROM realtime.notifications n
	WHERE n.owner_id = ANY ($1::text[]) AND n.kind = 'payout_sent' AND n.resolved_at IS NULL AND n.happened_at > now() - interval '31 days'
		AND NOT EXISTS (SELECT FROM realtime.payouts p WHERE p.owner_id = n.owner_id AND p.paid_out_at = n.happened_at)`

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

// Managers returns the users who own accounts, by account.
func (n *Notices) Managers(ctx context.Context, ownerIDs []string) (map[string][]string, error) {
	var rows []struct {
		OwnerID string `db:"owner_id"`
		UserID  string `db:"user_id"`
	}
	if err := n.list(ctx, &rows, func(q *notificationQueries) string { return q.managers }, pq.Array(ownerIDs)); err != nil {
		return nil, fmt.Errorf("read who owns accounts: %w", err)
	}
	found := make(map[string][]string)
	for _, r := range rows {
		found[r.OwnerID] = append(found[r.OwnerID], r.UserID)
	}
	return found, nil
}

// Home returns the account in which a user finds what is theirs alone: their own, or else the first
// that was shared with them; "" where they have none.
func (n *Notices) Home(ctx context.Context, userID string) (string, error) {
	accounts, err := n.store.Accounts(ctx, userID)
	if err != nil || len(accounts) == 0 {
		return "", err
	}
	return accounts[0].OwnerID, nil
}

// Invitations returns the open invitations that their users were not told of, and ends what was
// told of those that are closed.
func (n *Notices) Invitations(ctx context.Context) (happened []Happening, ended []EndedGroup, err error) {
	var rows []struct {
		ID        string
		OwnerID   string `db:"owner_id"`
		Role      string
		InvitedBy string    `db:"invited_by"`
		CreatedAt time.Time `db:"created_at"`
		UserID    string    `db:"user_id"`
	}
	if err := n.list(ctx, &rows, func(q *notificationQueries) string { return q.invited }); err != nil {
		return nil, nil, fmt.Errorf("read whom invitations are for: %w", err)
	}
	told, err := n.conditions(ctx, KindInvitation)
	if err != nil {
		return nil, nil, err
	}
	open := map[string]bool{}
	for _, r := range rows {
		group := GroupOf(KindInvitation, r.ID)
		open[group] = true
		if _, known := told[group]; known {
			continue
		}
		home, err := n.Home(ctx, r.UserID)
		if err != nil {
			return nil, nil, err
		}
		if home == "" || home == r.OwnerID {
			continue
		}
		happened = append(happened, Happening{OwnerID: home, UserID: r.UserID, Kind: KindInvitation, Key: fmt.Sprintf("%s@%d", group, r.CreatedAt.UnixMicro()), Subject: r.ID,
			Facts: RuleFacts{AccountID: r.OwnerID, InvitationID: r.ID, MemberID: r.InvitedBy, Role: r.Role}, At: r.CreatedAt})
	}
	for group, owners := range told {
		if !open[group] {
			for _, id := range owners {
				ended = append(ended, EndedGroup{id, group})
			}
		}
	}
	return happened, ended, nil
}

// conditions returns the groups of unresolved notifications of a kind, with their accounts.
func (n *Notices) conditions(ctx context.Context, kind string) (map[string][]string, error) {
	var rows []struct {
		OwnerID string `db:"owner_id"`
		Group   string `db:"group_key"`
	}
	// The kinds are written out, as the index on them has them.
	err := n.list(ctx, &rows, func(*notificationQueries) string {
		return `SELECT DISTINCT n.owner_id, n.group_key FROM realtime.notifications n
			WHERE n.kind = $1 AND n.resolved_at IS NULL AND n.kind IN ('overbooked', 'occupancy_low', 'invitation')`
	}, kind)
	if err != nil {
		return nil, fmt.Errorf("read what goes on: %w", err)
	}
	found := make(map[string][]string, len(rows))
	for _, r := range rows {
		found[r.Group] = append(found[r.Group], r.OwnerID)
	}
	return found, nil
}

// Overbooked looks for nights on which hangars have more stays than spaces, from today on: of all
// hangars where hangars is nil. What was told and is over is ended.
func (n *Notices) Overbooked(ctx context.Context, hangars []string, now time.Time) (happened []Happening, ended []EndedGroup, err error) {
	var spaces []struct {
		HangarID string `db:"hangar_id"`
		OwnerID  string `db:"owner_id"`
		Number   string `db:"hangar_number"`
		Spaces   int    `db:"spaces"`
	}
	if err := n.list(ctx, &spaces, func(q *notificationQueries) string { return q.spaces }, array(hangars)); err != nil {
		return nil, nil, fmt.Errorf("read the spaces of hangars: %w", err)
	}
	var stays []struct {
		HangarID string    `db:"hangar_id"`
		In       time.Time `db:"check_in"`
		Out      time.Time `db:"check_out"`
	}
	date := now.In(n.store.loc).Format(time.DateOnly)
	if err := n.list(ctx, &stays, func(q *notificationQueries) string { return q.stays }, array(hangars), now, date, n.store.loc.String()); err != nil {
		return nil, nil, fmt.Errorf("read the stays of hangars: %w", err)
	}
	told, err := n.conditions(ctx, KindOverbooked)
	if err != nil {
		return nil, nil, err
	}
	today := dayNumber(now.In(n.store.loc))
	nights := make(map[string]map[int]int)
	for _, s := range stays {
		if !s.In.Before(s.Out) {
			continue
		}
		days := nights[s.HangarID]
		if days == nil {
			days = make(map[int]int)
			nights[s.HangarID] = days
		}
		first, last := dayNumber(s.In.In(n.store.loc)), dayNumber(s.Out.In(n.store.loc))
		for day := max(first, today); day < min(max(last, first+1), today+overbookedDays); day++ {
			days[day]++
		}
	}
	over := map[string]string{} // groups, with their accounts
	for _, h := range spaces {
		first, most := -1, 0
		for day, number := range nights[h.HangarID] {
			if number > h.Spaces && (first < 0 || day < first) {
				first, most = day, number
			}
		}
		if first < 0 {
			continue
		}
		group := GroupOf(KindOverbooked, h.HangarID)
		over[group] = h.OwnerID
		if slices.Contains(told[group], h.OwnerID) {
			continue
		}
		happened = append(happened, Happening{OwnerID: h.OwnerID, Kind: KindOverbooked, Key: fmt.Sprintf("%s@%d", group, now.UnixMicro()), Subject: h.HangarID,
			Facts: RuleFacts{HangarID: h.HangarID, HangarNumber: h.Number, Date: dateText(first), Spaces: h.Spaces, Stays: most}, At: now})
	}
	for group, owners := range told {
		if _, id, _ := strings.Cut(group, ":"); hangars != nil && !slices.Contains(hangars, id) {
			continue
		}
		for _, ownerID := range owners {
			if over[group] != ownerID {
				ended = append(ended, EndedGroup{ownerID, group})
			}
		}
	}
	return happened, ended, nil
}

// dateText writes the date that a day's number stands for.
func dateText(day int) string { return time.Unix(int64(day)*86400, 0).UTC().Format(time.DateOnly) }

// dueBooking is a booking of which time tells something.
type dueBooking struct {
	OwnerID      string    `db:"owner_id"`
	BookingID    string    `db:"booking_id"`
	HangarID     string    `db:"hangar_id"`
	HangarNumber string    `db:"hangar_number"`
	Amount       Decimal   `db:"amount"`
	CheckIn      time.Time `db:"check_in"`
	CheckOut     time.Time `db:"check_out"`
	CreatedAt    time.Time `db:"created_at"`
	Pending      bool      `db:"pending"`
	Owing        bool      `db:"owing"` // confirmed and not paid
}

func (b dueBooking) facts(loc *time.Location) RuleFacts {
	return RuleFacts{BookingID: b.BookingID, HangarID: b.HangarID, HangarNumber: b.HangarNumber, Amount: b.Amount,
		CheckInDate: b.CheckIn.In(loc).Format(time.RFC3339), CheckOutDate: b.CheckOut.In(loc).Format(time.RFC3339)}
}

// due asks for bookings between two times.
func (n *Notices) due(ctx context.Context, ask func(*notificationQueries) string, from, until time.Time, more ...any) (found []dueBooking, err error) {
	date := func(t time.Time) string { return t.In(n.store.loc).Format(time.DateOnly) }
	err = n.list(ctx, &found, ask, append([]any{n.store.loc.String(), from, until, date(from), date(until)}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("read bookings that are due: %w", err)
	}
	return found, nil
}

// Due returns what came due after from and up to now, and ends what was told of days that are over.
func (n *Notices) Due(ctx context.Context, from, now time.Time) (happened []Happening, ended []EndedGroup, err error) {
	rules, err := n.allRules(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, find := range []func(context.Context, ruleSet, time.Time, time.Time) ([]Happening, error){n.toConfirm, n.unpaid, n.daily, n.payoutTomorrow} {
		found, err := find(ctx, rules, from, now)
		if err != nil {
			return nil, nil, err
		}
		happened = append(happened, found...)
	}
	if now.Truncate(occupancyStep).After(from) || from.IsZero() {
		found, over, err := n.occupancyLow(ctx, rules, now)
		if err != nil {
			return nil, nil, err
		}
		happened, ended = append(happened, found...), append(ended, over...)
	}
	today := now.In(n.store.loc).Format(time.DateOnly)
	if today != from.In(n.store.loc).Format(time.DateOnly) {
		over, err := n.daysOver(ctx, today)
		if err != nil {
			return nil, nil, err
		}
		ended = append(ended, over...)
	}
	if now.Truncate(dayStep).After(from) {
		over, err := n.daysEmpty(ctx, today)
		if err != nil {
			return nil, nil, err
		}
		ended = append(ended, over...)
		if over, err = n.pooledOver(ctx, rules, now); err != nil {
			return nil, nil, err
		}
		ended = append(ended, over...)
	}
	return happened, ended, nil
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

// toConfirm finds bookings that have been pending for long.
func (n *Notices) toConfirm(ctx context.Context, rules ruleSet, from, now time.Time) (happened []Happening, err error) {
	rule, _ := RuleOf(KindToConfirm)
	found, err := n.due(ctx, func(q *notificationQueries) string { return q.toConfirm }, from.Add(-time.Duration(rule.MaxHours)*time.Hour), now)
	for _, b := range found {
		at, is := b.dueAt(KindToConfirm, rules)
		if !is || !at.After(from) || at.After(now) {
			continue
		}
		happened = append(happened, Happening{OwnerID: b.OwnerID, Kind: KindToConfirm, Key: b.moment(KindToConfirm),
			Subject: b.BookingID, Group: true, Facts: b.facts(n.store.loc), At: at})
	}
	return happened, err
}

// unpaid finds bookings that begin soon and are not paid.
func (n *Notices) unpaid(ctx context.Context, rules ruleSet, from, now time.Time) (happened []Happening, err error) {
	rule, _ := RuleOf(KindUnpaid)
	from, until := from.Truncate(unpaidStep), now.Truncate(unpaidStep)
	if !until.After(from) {
		return nil, nil
	}
	found, err := n.due(ctx, func(q *notificationQueries) string { return q.unpaid }, now, until.Add(time.Duration(rule.MaxHours)*time.Hour))
	for _, b := range found {
		at, is := b.dueAt(KindUnpaid, rules)
		if !is || !at.After(from) || at.After(until) {
			continue
		}
		happened = append(happened, Happening{OwnerID: b.OwnerID, Kind: KindUnpaid, Key: b.moment(KindUnpaid),
			Subject: b.BookingID, Group: true, Facts: b.facts(n.store.loc), At: at})
	}
	return happened, err
}

// dayKinds are the kinds of notifications of one day, told on another or in the morning of it.
var dayKinds = []struct {
	kind string
	days int // from the day on which it is told
	ask  func(*notificationQueries) string
}{
	{KindArrivesTomorrow, 1, func(q *notificationQueries) string { return q.arriving }},
	{KindLeavesToday, 0, func(q *notificationQueries) string { return q.leaving }},
}

// pooledOver returns what was told of many bookings at once, to confirm or unpaid, of which none is
// left: no row of the log can end that by a booking's name.
func (n *Notices) pooledOver(ctx context.Context, rules ruleSet, now time.Time) (ended []EndedGroup, err error) {
	told, err := n.groups(ctx, `SELECT DISTINCT owner_id, group_key FROM realtime.notifications WHERE resolved_at IS NULL
		AND kind IN ('to_confirm', 'unpaid') AND group_key IN ('to_confirm', 'unpaid')`)
	if err != nil || len(told) == 0 {
		return nil, err
	}
	toConfirm, err := n.due(ctx, func(q *notificationQueries) string { return q.toConfirm }, now.AddDate(-1, 0, 0), now)
	if err != nil {
		return nil, err
	}
	unpaid, _ := RuleOf(KindUnpaid)
	owing, err := n.due(ctx, func(q *notificationQueries) string { return q.unpaid }, now, now.Add(time.Duration(unpaid.MaxHours)*time.Hour))
	if err != nil {
		return nil, err
	}
	stands := map[EndedGroup]bool{}
	for _, b := range toConfirm {
		params, _ := rules.of(KindToConfirm, b.OwnerID)
		if !b.CreatedAt.Add(time.Duration(params.Hours) * time.Hour).After(now) {
			stands[EndedGroup{b.OwnerID, KindToConfirm}] = true
		}
	}
	for _, b := range owing {
		params, _ := rules.of(KindUnpaid, b.OwnerID)
		if !b.CheckIn.Add(-time.Duration(params.Hours) * time.Hour).After(now) {
			stands[EndedGroup{b.OwnerID, KindUnpaid}] = true
		}
	}
	return slices.DeleteFunc(told, func(one EndedGroup) bool { return stands[one] }), nil
}

// daily tells who arrives tomorrow and who leaves today, at the hour that each account chose.
func (n *Notices) daily(ctx context.Context, rules ruleSet, from, now time.Time) (happened []Happening, err error) {
	for _, one := range dayKinds {
		for at, due := range n.hours(rules, one.kind, from, now) {
			day := dayOffset(due, one.days, n.store.loc)
			byOwner, owners, err := n.onDay(ctx, one.ask, day)
			if err != nil {
				return nil, err
			}
			date := day.Format(time.DateOnly)
			for _, id := range owners {
				if params, enabled := rules.of(one.kind, id); !enabled || params.At != at {
					continue
				}
				facts := RuleFacts{Date: date}
				if list := byOwner[id]; len(list) == 1 {
					facts = list[0].facts(n.store.loc)
					facts.Date = date
				}
				happened = append(happened, Happening{OwnerID: id, Kind: one.kind, Key: GroupOf(one.kind, date), Subject: date, Facts: facts, Count: len(byOwner[id]), At: due})
			}
		}
	}
	return happened, nil
}

// onDay returns who arrives or leaves on a day, by account, and the accounts in the order of their
// bookings.
func (n *Notices) onDay(ctx context.Context, ask func(*notificationQueries) string, day time.Time) (byOwner map[string][]dueBooking, owners []string, err error) {
	found, err := n.due(ctx, ask, day, dayOffset(day, 1, n.store.loc))
	byOwner = map[string][]dueBooking{}
	for _, b := range found {
		if byOwner[b.OwnerID] == nil {
			owners = append(owners, b.OwnerID)
		}
		byOwner[b.OwnerID] = append(byOwner[b.OwnerID], b)
	}
	return byOwner, owners, err
}

// daysEmpty returns what was told of today and of days to come of which nothing is left: nobody
// arrives or leaves any more, nothing is to be paid out.
func (n *Notices) daysEmpty(ctx context.Context, today string) (ended []EndedGroup, err error) {
	told, err := n.groups(ctx, `SELECT DISTINCT owner_id, group_key FROM realtime.notifications WHERE resolved_at IS NULL
		AND kind IN ('arrives_tomorrow', 'leaves_today', 'payout_tomorrow') AND split_part(group_key, ':', 2) >= $1`, today)
	if err != nil {
		return nil, err
	}
	stands := map[string]map[string]bool{} // accounts, by group
	for _, one := range told {
		if stands[one.Group] == nil {
			if stands[one.Group], err = n.accountsOf(ctx, one.Group); err != nil {
				return nil, err
			}
		}
		if !stands[one.Group][one.OwnerID] {
			ended = append(ended, one)
		}
	}
	return ended, nil
}

// accountsOf returns the accounts of which a group of a day tells at this moment.
func (n *Notices) accountsOf(ctx context.Context, group string) (map[string]bool, error) {
	kind, date, _ := strings.Cut(group, ":")
	day, err := time.ParseInLocation(time.DateOnly, date, n.store.loc)
	if err != nil {
		return map[string]bool{}, nil // no group of ours
	}
	day = dayOffset(day.Add(12*time.Hour), 0, n.store.loc) // there are days without a midnight
	var owners []string
	if kind == KindPayoutTomorrow {
		owners, err = n.payees(ctx, day)
	}
	for _, one := range dayKinds {
		if kind == one.kind {
			_, owners, err = n.onDay(ctx, one.ask, day)
		}
	}
	stands := map[string]bool{}
	for _, id := range owners {
		stands[id] = true
	}
	return stands, err
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

// payoutTomorrow tells accounts that have something to get that tomorrow is the day.
func (n *Notices) payoutTomorrow(ctx context.Context, rules ruleSet, from, now time.Time) (happened []Happening, err error) {
	for at, due := range n.hours(rules, KindPayoutTomorrow, from, now) {
		tomorrow := dayOffset(due, 1, n.store.loc)
		date := tomorrow.Format(time.DateOnly)
		owners, err := n.payees(ctx, tomorrow)
		if err != nil {
			return nil, err
		}
		for _, id := range owners {
			if params, enabled := rules.of(KindPayoutTomorrow, id); enabled && params.At == at {
				happened = append(happened, Happening{OwnerID: id, Kind: KindPayoutTomorrow, Key: GroupOf(KindPayoutTomorrow, date), Subject: date,
					Facts: RuleFacts{Date: date}, At: due})
			}
		}
	}
	return happened, nil
}

// payees returns the accounts that are paid out on a day: those with a payout that is planned for
// it, and on the weekly day those with anything pending. That is asked of the projection, and of
// the portal's tables where the projection is not to be believed.
func (n *Notices) payees(ctx context.Context, day time.Time) (owners []string, err error) {
	err = n.list(ctx, &owners, func(*notificationQueries) string { return payoutPlannedQuery }, day.Format(time.DateOnly))
	if err != nil {
		return nil, fmt.Errorf("read the payouts that are planned: %w", err)
	}
	if !nextPayoutDay(day, n.store.loc).Equal(day) {
		return owners, nil
	}
	var rows []struct {
		Trusted bool
		OwnerID sql.NullString `db:"owner_id"`
	}
	for _, ask := range []func(*queries) string{
		func(q *queries) string { return q.projection.pending },
		func(q *queries) string { return q.projection.pendingInTables },
	} {
		rows = nil
		if err := n.ask(ctx, &rows, ask); err != nil {
			return nil, fmt.Errorf("read what is pending: %w", err)
		}
		if len(rows) > 0 && rows[0].Trusted {
			break
		}
	}
	for _, r := range rows {
		if r.OwnerID.Valid && !slices.Contains(owners, r.OwnerID.String) {
			owners = append(owners, r.OwnerID.String)
		}
	}
	return owners, nil
}

// occupancyLow looks at the nights to come of accounts that want to be told when few are sold. One
// that was told is told again only after the share had recovered, and once a day at most.
func (n *Notices) occupancyLow(ctx context.Context, rules ruleSet, now time.Time) (happened []Happening, ended []EndedGroup, err error) {
	told, err := n.conditions(ctx, KindOccupancyLow)
	if err != nil {
		return nil, nil, err
	}
	low := map[string][]string{} // accounts that were told, with their groups
	for group, owners := range told {
		for _, id := range owners {
			low[id] = append(low[id], group)
		}
	}
	for ownerID := range rules[KindOccupancyLow] {
		params, enabled := rules.of(KindOccupancyLow, ownerID)
		sold, offered := 0.0, 0.0
		if enabled {
			if sold, offered, err = n.nightsToCome(ctx, ownerID, now); err != nil {
				return nil, nil, err
			}
		}
		switch percent := 100 * sold / max(offered, 1); {
		case !enabled || offered == 0 || percent >= float64(params.Percent+occupancyRecovery):
			for _, group := range low[ownerID] {
				ended = append(ended, EndedGroup{ownerID, group})
			}
		case percent < float64(params.Percent) && len(low[ownerID]) == 0:
			date := now.In(n.store.loc).Format(time.DateOnly)
			happened = append(happened, Happening{OwnerID: ownerID, Kind: KindOccupancyLow, Key: GroupOf(KindOccupancyLow, date), Subject: date,
				Facts: RuleFacts{Date: date, Percent: strconv.FormatFloat(percent, 'f', 1, 64)}, At: now})
		}
	}
	return happened, ended, nil
}

// nightsToCome returns how many nights of the days to come are sold and offered.
func (n *Notices) nightsToCome(ctx context.Context, ownerID string, now time.Time) (sold, offered float64, err error) {
	y, m, d := now.In(n.store.loc).Date()
	from := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	c, err := n.store.Calendar(ctx, ownerID, CalendarQuery{From: from, To: from.AddDate(0, 0, occupancyDays), Limit: 1})
	for _, day := range c.Days {
		sold, offered = sold+float64(day.Nights), offered+float64(day.Spaces)
	}
	return sold, offered, err
}

// daysOver returns what was told of days before today.
func (n *Notices) daysOver(ctx context.Context, today string) (ended []EndedGroup, err error) {
	return n.groups(ctx, `SELECT DISTINCT owner_id, group_key FROM realtime.notifications WHERE resolved_at IS NULL
		AND kind IN ('arrives_tomorrow', 'leaves_today', 'payout_tomorrow') AND split_part(group_key, ':', 2) < $1`, today)
}

// pruneQuery chooses what is removed in one step: first what is too old, then the oldest of
// accounts that have too many, of which the counts tell. Parameters: 1 how many, 2 how many an
// account keeps.
const pruneQuery = `
SELECT id FROM (
	(SELECT id FROM realtime.notifications WHERE expires_at < now() ORDER BY expires_at LIMIT $1)
	UNION
	(SELECT o.id FROM (SELECT owner_id, sum(total) - $2 AS above FROM realtime.notification_counts GROUP BY owner_id HAVING sum(total) > $2) a CROSS JOIN LATERAL (
		SELECT n.id FROM realtime.notifications n WHERE n.owner_id = a.owner_id ORDER BY n.created_at, n.id LIMIT least(a.above, $1)) o LIMIT $1)) old LIMIT $1`

// Prune removes notifications that are too old, and the oldest of accounts that have too many, a
// step at a time. Clients of those accounts read their lists again.
func (n *Notices) Prune(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	var ids []int64
	err = n.store.pool.SelectContext(ctx, &ids, pruneQuery, pruneStep, keptNotifications)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	tx, err := beginOwn(ctx, n.store.pool)
	if err != nil {
		return false, fmt.Errorf("remove old notifications: %w", Explain(err))
	}
	defer tx.Rollback()
	var owners []string
	if err = tx.SelectContext(ctx, &owners, `SELECT DISTINCT owner_id FROM realtime.notifications WHERE id = ANY ($1::bigint[])`, pq.Array(ids)); err == nil {
		slices.Sort(owners)
		if _, err = nextRevisions(ctx, tx, owners); err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE realtime.notification_accounts SET floor = revision WHERE owner_id = ANY ($1::text[])`, pq.Array(owners))
		}
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `DELETE FROM realtime.notifications WHERE id = ANY ($1::bigint[])`, pq.Array(ids))
	}
	if err == nil {
		err = noteNotifications(ctx, tx, NotificationNote{Owners: owners})
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return false, fmt.Errorf("remove old notifications: %w", Explain(err))
	}
	return len(ids) >= pruneStep, nil
}
