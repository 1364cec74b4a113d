package db

import "slices"

// Severity is how soon a notification wants to be looked at.
type Severity int16

// Severities, the least first.
const (
	SeverityInfo Severity = iota
	SeverityAttention
	SeverityUrgent
)

// String returns the severity as clients get it.
func (s Severity) String() string {
	switch s {
	case SeverityUrgent:
		return "urgent"
	case SeverityAttention:
		return "attention"
	}
	return "info"
}

// Channel is a way on which a user is told of a notification.
type Channel string

// Channels.
const (
	ChannelInApp Channel = "inApp"
	ChannelPush  Channel = "push"
	ChannelMail  Channel = "mail"
)

// Channels are all channels, in the order in which they are listed.
var Channels = []Channel{ChannelInApp, ChannelPush, ChannelMail}

// Mode is when a user is told on a channel. A digest is only mail's.
type Mode string

// Modes.
const (
	ModeOff    Mode = "off"
	ModeNow    Mode = "now"
	ModeDigest Mode = "digest"
)

// Kinds of notifications.
const (
	KindBookingCreated   = "booking_created"
	KindBookingCancelled = "booking_cancelled"
	KindBookingChanged   = "booking_changed"
	KindPaymentReceived  = "payment_received"
	KindPayoutSent       = "payout_sent"
	KindOverbooked       = "overbooked"
	KindMemberChanged    = "member_changed"
	KindNewSignIn        = "new_sign_in"
	KindInvitation       = "invitation"
	KindToConfirm        = "to_confirm"
	KindArrivesTomorrow  = "arrives_tomorrow"
	KindLeavesToday      = "leaves_today"
	KindUnpaid           = "unpaid"
	KindOccupancyLow     = "occupancy_low"
	KindPayoutTomorrow   = "payout_tomorrow"
)

// NotificationKind is what is fixed about a kind of notification.
type NotificationKind struct {
	Name     string
	Severity Severity
	// Personal notifications are one user's, and nobody else's.
	Personal bool
	// Push and Mail are the defaults of an account's owners and managers; viewers have neither.
	Push, Mail Mode
	// Locked is true for what concerns a user's own safety: it cannot be switched off in the page
	// or by mail, and has no digest.
	Locked bool
	// PushHours is for how many hours after it was made a push message is worth sending.
	PushHours int
}

// NotificationKinds are all kinds, in the order in which they are listed.
var NotificationKinds = []NotificationKind{
	{Name: KindBookingCreated, Push: ModeNow, Mail: ModeOff, PushHours: 24},
	{Name: KindBookingCancelled, Severity: SeverityAttention, Push: ModeNow, Mail: ModeOff, PushHours: 24},
	{Name: KindBookingChanged, Push: ModeOff, Mail: ModeOff, PushHours: 24},
	{Name: KindPaymentReceived, Push: ModeOff, Mail: ModeOff, PushHours: 24},
	{Name: KindPayoutSent, Push: ModeOff, Mail: ModeOff, PushHours: 24},
	{Name: KindOverbooked, Severity: SeverityUrgent, Push: ModeNow, Mail: ModeNow, PushHours: 24},
	{Name: KindToConfirm, Severity: SeverityAttention, Push: ModeNow, Mail: ModeOff, PushHours: 24},
	{Name: KindArrivesTomorrow, Push: ModeOff, Mail: ModeOff, PushHours: 12},
	{Name: KindLeavesToday, Push: ModeOff, Mail: ModeOff, PushHours: 12},
	{Name: KindUnpaid, Severity: SeverityAttention, Push: ModeNow, Mail: ModeOff, PushHours: 6},
	{Name: KindOccupancyLow, Push: ModeOff, Mail: ModeOff, PushHours: 24},
	{Name: KindPayoutTomorrow, Push: ModeOff, Mail: ModeOff, PushHours: 12},
	{Name: KindMemberChanged, Severity: SeverityAttention, Personal: true, Push: ModeNow, Mail: ModeNow, Locked: true, PushHours: 24},
	{Name: KindNewSignIn, Severity: SeverityAttention, Personal: true, Push: ModeNow, Mail: ModeNow, Locked: true, PushHours: 24},
	{Name: KindInvitation, Severity: SeverityAttention, Personal: true, Push: ModeNow, Mail: ModeOff, PushHours: 24},
}

// KindOf returns a kind by name; ok is false where this version does not know it.
func KindOf(name string) (kind NotificationKind, ok bool) {
	i := slices.IndexFunc(NotificationKinds, func(k NotificationKind) bool { return k.Name == name })
	if i < 0 {
		return kind, false
	}
	return NotificationKinds[i], true
}

// DefaultMode returns when a user in a role is told of a kind on a channel, where they did not
// choose. Viewers have only the page, but for what is personal.
func (k NotificationKind) DefaultMode(channel Channel, role Role) Mode {
	if channel == ChannelInApp {
		return ModeNow
	}
	if role != RoleOwner && role != RoleManager && !k.Personal {
		return ModeOff
	}
	if channel == ChannelPush {
		return k.Push
	}
	return k.Mail
}

// LockedOn reports whether users have no choice about a kind on a channel.
func (k NotificationKind) LockedOn(channel Channel) bool { return k.Locked && channel != ChannelPush }

// Allows reports whether a mode may be chosen on a channel.
func (c Channel) Allows(m Mode) bool {
	return m == ModeOff || m == ModeNow || m == ModeDigest && c == ChannelMail
}
