package handlers

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime"
	"github.com/hangarshare/hangarshare-realtime/realtime/words"
)

// timeOfDay is the form of a time of day.
var timeOfDay = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

// preference is what a user chose about a kind on a channel.
type preference struct {
	Mode    db.Mode `json:"mode"`
	Default db.Mode `json:"default"`
	Locked  bool    `json:"locked"`
}

// kindPreferences are a user's preferences about a kind.
type kindPreferences struct {
	Kind     string                    `json:"kind"`
	Severity string                    `json:"severity"`
	Channels map[db.Channel]preference `json:"channels"`
}

// Preferences answers with what the caller is told of in an account, and how: all kinds and
// channels, with the defaults of their role, and which channels this server has.
func (n *Notifications) Preferences(w http.ResponseWriter, r *http.Request) {
	n.serveMember(w, r, func(g grant) (any, error) {
		return n.preferences(r, g)
	})
}

func (n *Notifications) preferences(r *http.Request, g grant) (any, error) {
	own, err := n.Register.Preferences(r.Context(), g.ownerID, g.viewer.UserID)
	if err != nil {
		return nil, err
	}
	list := make([]kindPreferences, 0, len(db.NotificationKinds))
	for _, kind := range db.NotificationKinds {
		one := kindPreferences{Kind: kind.Name, Severity: kind.Severity.String(), Channels: map[db.Channel]preference{}}
		for _, channel := range db.Channels {
			p := preference{Default: kind.DefaultMode(channel, g.role), Locked: kind.LockedOn(channel)}
			p.Mode = p.Default
			if i := slices.IndexFunc(own, func(o db.Preference) bool { return o.Kind == kind.Name && o.Channel == channel }); i >= 0 && !p.Locked {
				p.Mode = own[i].Mode
			}
			one.Channels[channel] = p
		}
		list = append(list, one)
	}
	channels := slices.DeleteFunc(slices.Clone(db.Channels), func(c db.Channel) bool { return c != db.ChannelInApp && !slices.Contains(n.Channels, c) })
	return map[string]any{"kinds": list, "channels": channels}, nil
}

// ChangePreferences changes some of the caller's preferences in an account: one, or several in the
// form in which they are told. null as a mode goes back to the default.
func (n *Notifications) ChangePreferences(w http.ResponseWriter, r *http.Request) {
	n.serveMember(w, r, func(g grant) (any, error) {
		var body struct {
			Kind    string
			Channel db.Channel
			Mode    *db.Mode
			Kinds   []struct {
				Kind     string
				Channels map[db.Channel]struct{ Mode *db.Mode }
			}
		}
		if err := readBody(r, &body, `{"kind":"booking_created","channel":"push","mode":"now"}`); err != nil {
			return nil, err
		}
		var chosen []db.Preference
		add := func(kind string, channel db.Channel, mode *db.Mode) {
			p := db.Preference{Kind: kind, Channel: channel}
			if mode != nil {
				p.Mode = *mode
			}
			chosen = append(chosen, p)
		}
		if body.Kind != "" || body.Channel != "" {
			add(body.Kind, body.Channel, body.Mode)
		}
		for _, k := range body.Kinds {
			for channel, p := range k.Channels {
				add(k.Kind, channel, p.Mode)
			}
		}
		if len(chosen) == 0 {
			return nil, Invalid("kind", "say which kind on which channel: see the answer to GET")
		}
		for _, p := range chosen {
			if err := checkPreference(p, g.role); err != nil {
				return nil, err
			}
		}
		if err := n.Register.SetPreferences(r.Context(), g.ownerID, g.viewer.UserID, chosen); err != nil {
			return nil, err
		}
		return n.preferences(r, g)
	})
}

func checkPreference(p db.Preference, role db.Role) error {
	kind, known := db.KindOf(p.Kind)
	switch {
	case !known:
		return noSuchKind()
	case !slices.Contains(db.Channels, p.Channel):
		return Invalid("channel", "channel may be inApp, push or mail")
	case p.Mode != "" && !p.Channel.Allows(p.Mode):
		return Invalid("mode", "mode may be off or now, and digest for mail")
	case kind.LockedOn(p.Channel) && p.Mode != "" && p.Mode != kind.DefaultMode(p.Channel, role):
		return Invalid("mode", "what concerns the safety of your account cannot be switched off here")
	}
	return nil
}

// rule is a rule as clients get it.
type rule struct {
	Kind      string           `json:"kind"`
	Params    db.RuleParams    `json:"params"`
	Enabled   bool             `json:"enabled"`
	ChangedBy *realtime.Person `json:"changedBy"`
	ChangedAt *string          `json:"changedAt"`
}

// Rules answers with an account's rules.
func (n *Notifications) Rules(w http.ResponseWriter, r *http.Request) {
	n.serveMember(w, r, func(g grant) (any, error) {
		return n.rules(r, g)
	})
}

func (n *Notifications) rules(r *http.Request, g grant) (any, error) {
	own, err := n.Register.Rules(r.Context(), g.ownerID)
	if err != nil {
		return nil, err
	}
	list := make([]rule, 0, len(db.RuleKinds))
	for _, kind := range db.RuleKinds {
		one := rule{Kind: kind.Kind, Params: kind.Defaults, Enabled: kind.Enabled}
		if i := slices.IndexFunc(own, func(o db.Rule) bool { return o.Kind == kind.Kind }); i >= 0 {
			one.Params, one.Enabled = kind.Merge(own[i].Params), own[i].Enabled
			one.ChangedAt = momentOrNull(own[i].ChangedAt.Time.In(n.Register.Location()))
			if own[i].ChangedBy.Valid {
				one.ChangedBy = &realtime.Person{ID: own[i].ChangedBy.String}
				if own[i].ByName.Valid {
					one.ChangedBy.Name = &own[i].ByName.String
				}
			}
		}
		list = append(list, one)
	}
	return map[string]any{"rules": list}, nil
}

// ChangeRules changes one of an account's rules.
func (n *Notifications) ChangeRules(w http.ResponseWriter, r *http.Request) {
	n.serve(w, r, func() (any, error) {
		g, err := authorizeManager(r, n.Directory, "only owners and managers may change rules")
		if err != nil {
			return nil, err
		}
		var body struct {
			Kind    string
			Params  *db.RuleParams
			Enabled *bool
		}
		if err := readBody(r, &body, `{"kind":"to_confirm","params":{"hours":4},"enabled":true}`); err != nil {
			return nil, err
		}
		kind, known := db.RuleOf(body.Kind)
		switch {
		case !known:
			return nil, Invalid("kind", "kind is no rule: see the answer to GET")
		case body.Params == nil && body.Enabled == nil:
			return nil, Invalid("enabled", "say what to change: enabled or params")
		}
		own, err := n.Register.Rules(r.Context(), g.ownerID)
		if err != nil {
			return nil, err
		}
		now := db.Rule{Kind: kind.Kind, Enabled: kind.Enabled}
		if i := slices.IndexFunc(own, func(o db.Rule) bool { return o.Kind == kind.Kind }); i >= 0 {
			now.Params, now.Enabled = own[i].Params, own[i].Enabled
		}
		if body.Enabled != nil {
			now.Enabled = *body.Enabled
		}
		params := kind.Merge(now.Params)
		if body.Params != nil {
			if err := checkParams(kind, *body.Params); err != nil {
				return nil, err
			}
			params = *body.Params
		}
		if now.Params, err = json.Marshal(params); err != nil {
			return nil, err
		}
		if err := n.Register.SetRule(r.Context(), g.ownerID, g.viewer.UserID, now); err != nil {
			return nil, err
		}
		return n.rules(r, g)
	})
}

// checkParams says what is wrong with parameters of a rule: it has those of its defaults and no
// others.
func checkParams(kind db.RuleKind, p db.RuleParams) error {
	switch {
	case (p.Hours != 0) != (kind.Defaults.Hours != 0) || p.Hours < 0 || p.Hours > kind.MaxHours:
		return Invalid("params", "hours must be a whole number within the rule's bounds, for rules that have it")
	case (p.At != "") != (kind.Defaults.At != "") || p.At != "" && !timeOfDay.MatchString(p.At):
		return Invalid("params", "at must be a time of day, HH:MM, for rules that have it")
	case (p.Percent != 0) != (kind.Defaults.Percent != 0) || p.Percent < 0 || p.Percent > 95:
		return Invalid("params", "percent must be from 1 to 95, for the rule that has it")
	}
	return nil
}

// userSettings are a user's own settings as clients get and send them. What is not sent stays.
type userSettings struct {
	Zone        *string  `json:"zone"`
	Lang        *string  `json:"lang"`
	QuietFrom   *string  `json:"quietFrom"`
	QuietTo     *string  `json:"quietTo"`
	QuietDays   *[]int64 `json:"quietDays"`
	Digest      *string  `json:"digest"`
	DigestAt    *string  `json:"digestAt"`
	PausedUntil *string  `json:"pausedUntil"`
	Private     *bool    `json:"private"`
}

func settingsOf(u db.UserSettings) userSettings {
	days := u.QuietDays
	if days == nil {
		days = []int64{}
	}
	out := userSettings{Zone: textOrNull(u.Zone), Lang: textOrNull(u.Lang), QuietFrom: textOrNull(u.QuietFrom), QuietTo: textOrNull(u.QuietTo),
		QuietDays: &days, Digest: &u.Digest, DigestAt: &u.DigestAt, Private: &u.Private}
	if !u.PausedUntil.IsZero() {
		out.PausedUntil = textOrNull(u.PausedUntil.UTC().Format(time.RFC3339))
	}
	return out
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// Settings answers with the caller's own settings.
func (n *Notifications) Settings(w http.ResponseWriter, r *http.Request) {
	n.serve(w, r, func() (any, error) {
		viewer, err := signedIn(r.Context(), n.Directory)
		if err != nil {
			return nil, err
		}
		u, err := n.Register.UserSettings(r.Context(), viewer.UserID)
		return settingsOf(u), err
	})
}

// ChangeSettings changes some of the caller's own settings.
func (n *Notifications) ChangeSettings(w http.ResponseWriter, r *http.Request) {
	n.serve(w, r, func() (any, error) {
		viewer, err := signedIn(r.Context(), n.Directory)
		if err != nil {
			return nil, err
		}
		var body map[string]json.RawMessage
		if err := readBody(r, &body, `{"quietFrom":"22:00","quietTo":"07:00"}`); err != nil {
			return nil, err
		}
		u, err := n.Register.UserSettings(r.Context(), viewer.UserID)
		if err != nil {
			return nil, err
		}
		for name, value := range body {
			if err := changeSetting(&u, name, value); err != nil {
				return nil, err
			}
		}
		if (u.QuietFrom == "") != (u.QuietTo == "") {
			return nil, Invalid("quietTo", "quiet hours need both ends: quietFrom and quietTo")
		}
		return settingsOf(u), n.Register.SetUserSettings(r.Context(), viewer.UserID, u)
	})
}

// changeSetting changes one setting; null takes it away.
func changeSetting(u *db.UserSettings, name string, value json.RawMessage) error {
	var text string
	isText := json.Unmarshal(value, &text) == nil // null leaves ""
	switch name {
	case "zone":
		if _, err := time.LoadLocation(text); !isText || err != nil || text == "Local" {
			return Invalid(name, "zone must be a time zone like America/Sao_Paulo, or null for the installation's")
		}
		u.Zone = text
	case "lang":
		if !isText || text != "" && !slices.Contains(words.Languages(), text) {
			return Invalid(name, "lang may be "+strings.Join(words.Languages(), ", ")+" or null")
		}
		u.Lang = text
	case "quietFrom", "quietTo":
		if !isText || text != "" && !timeOfDay.MatchString(text) {
			return Invalid(name, name+" must be a time of day, HH:MM, or null")
		}
		if name == "quietFrom" {
			u.QuietFrom = text
		} else {
			u.QuietTo = text
		}
	case "quietDays":
		var days []int64
		if json.Unmarshal(value, &days) != nil || slices.ContainsFunc(days, func(d int64) bool { return d < 0 || d > 6 }) || len(days) > 7 {
			return Invalid(name, "quietDays must be a list of days from 0 (Sunday) to 6; none are all")
		}
		slices.Sort(days)
		u.QuietDays = slices.Compact(days)
	case "digest":
		if !slices.Contains([]string{"off", "day", "week"}, text) {
			return Invalid(name, "digest may be off, day or week")
		}
		u.Digest = text
	case "digestAt":
		if !timeOfDay.MatchString(text) {
			return Invalid(name, "digestAt must be a time of day, HH:MM")
		}
		u.DigestAt = text
	case "pausedUntil":
		u.PausedUntil = time.Time{}
		if text != "" || !isText {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return Invalid(name, "pausedUntil must be a time in RFC 3339, or null")
			}
			u.PausedUntil = at
		}
	case "private":
		if json.Unmarshal(value, &u.Private) != nil || string(value) == "null" {
			return Invalid(name, "private must be true or false")
		}
	default:
		return Invalid(name, "there is no such setting")
	}
	return nil
}
