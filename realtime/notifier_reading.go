package realtime

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// BookingFacts are the facts of a notification about a booking, as they are kept: no names. Dates
// are RFC 3339 with the zone's offset, Amount is BRL; what the row does not say is left out.
type BookingFacts struct {
	BookingID     string     `json:"bookingId,omitempty"`
	HangarID      string     `json:"hangarId,omitempty"`
	HangarNumber  string     `json:"hangarNumber,omitempty"`
	Amount        db.Decimal `json:"amount,omitempty"`
	CheckInDate   string     `json:"checkInDate,omitempty"`
	CheckOutDate  string     `json:"checkOutDate,omitempty"`
	Status        string     `json:"status,omitempty"`
	PaymentMethod string     `json:"paymentMethod,omitempty"`
	Paid          bool       `json:"paid,omitempty"`
	Deleted       bool       `json:"deleted,omitempty"`
}

// MemberFacts are those of a change of an account's members: Was and Role are empty for who was
// nothing, or is nothing any more.
type MemberFacts struct {
	MemberID string `json:"memberId"`
	Was      string `json:"was,omitempty"`
	Role     string `json:"role,omitempty"`
}

// SignInFacts are those of a sign-in on a new device.
type SignInFacts struct {
	SessionID string `json:"sessionId,omitempty"`
}

// reading is what was read of the log and is to become notifications.
type reading struct {
	enc        Encoder
	happened   []db.Happening
	ended      []db.EndedGroup
	payouts    []string            // bookings of which one may have been paid out, or not any more
	payees     []string            // the accounts that these concern
	members    []db.Happening      // for those who manage the account
	signIns    []db.Happening      // whose account is still to be found
	hangars    map[string]struct{} // whose nights are to be counted
	moved      map[string]struct{} // bookings of which another moment may have come
	everything bool                // of all hangars
	invited    bool
	created    map[madeAt]int // of happened: bookings of the transaction that made them
}

// madeAt is a booking and the transaction of a row about it: TxOrder is the owner's in it.
type madeAt struct {
	booking, owner string
	batch, txOrder int64
}

func newReading(loc *time.Location) *reading {
	return &reading{enc: Encoder{Location: loc}, hangars: make(map[string]struct{}), moved: make(map[string]struct{}), created: make(map[madeAt]int)}
}

// read takes in rows of the log.
func (r *reading) read(changes []eventlog.Change) {
	for _, c := range changes {
		switch c.Type {
		case eventlog.TypeAccess:
			r.member(c)
		case eventlog.TypeTruncated:
			r.everything = true
		case eventlog.TypeNote:
			r.noted(c)
		default:
			if slices.Contains(eventlog.BookingTypes, c.Type) {
				r.booking(c)
			}
		}
	}
}

func (r *reading) booking(c eventlog.Change) {
	var l struct {
		logged
		Bookings []string `json:"bookings"`
	}
	if json.Unmarshal(c.Data, &l) != nil {
		return // its owner is told by the stream
	}
	if l.HangarID != "" {
		r.hangars[l.HangarID] = struct{}{}
	}
	if c.Type == eventlog.TypeChanged {
		if len(l.Bookings) > 0 && c.OwnerID != "" {
			r.payouts, r.payees = append(r.payouts, l.Bookings...), append(r.payees, c.OwnerID)
		}
		return
	}
	if c.OwnerID == "" {
		return
	}
	facts := BookingFacts{BookingID: l.BookingID, HangarID: l.HangarID, HangarNumber: l.HangarNumber, Amount: l.Amount, Status: l.Status,
		CheckInDate: r.date(l.CheckIn), CheckOutDate: r.date(l.CheckOut), PaymentMethod: l.PaymentMethod}
	if !facts.Amount.IsNumber() {
		facts.Amount = ""
	}
	key := madeAt{l.BookingID, c.OwnerID, c.Batch, c.TxOrder}
	switch c.Type {
	case BookingCreated:
		r.created[key] = len(r.happened)
		r.add(c, db.KindBookingCreated, l.HangarID, facts)
		return
	case RevenueReceived:
		r.end(c, db.KindUnpaid, l.BookingID)
		if i, at := r.created[key]; at { // made and paid at once is one thing that happened
			made := r.happened[i].Facts.(BookingFacts)
			made.Paid, made.PaymentMethod = true, l.PaymentMethod
			r.happened[i].Facts = made
			return
		}
		r.add(c, db.KindPaymentReceived, l.HangarID, facts)
		return
	}
	if l.Status != "pending" {
		r.end(c, db.KindToConfirm, l.BookingID)
	}
	if l.Status != "confirmed" {
		r.end(c, db.KindUnpaid, l.BookingID)
	}
	over := l.PreviousStatus == "cancelled" || l.PreviousStatus == "completed"
	switch {
	case l.Status == "deleted" && !over:
		facts.Status, facts.Deleted = l.PreviousStatus, true
		r.add(c, db.KindBookingCancelled, l.HangarID, facts)
	case l.Status == "cancelled" && !over:
		r.add(c, db.KindBookingCancelled, l.HangarID, facts)
	case l.Status == l.PreviousStatus && !over: // dates, price, hangar or guest
		r.moved[l.BookingID] = struct{}{}
		r.add(c, db.KindBookingChanged, l.HangarID, facts)
	}
}

// add adds what a row says. Its place in the log is its key: a booking's id may be used again.
func (r *reading) add(c eventlog.Change, kind, hangarID string, facts any) {
	r.happened = append(r.happened, db.Happening{OwnerID: c.OwnerID, Kind: kind, Key: keyOf(kind, c), Subject: hangarID, Group: true, Facts: facts, At: c.At})
}

func keyOf(kind string, c eventlog.Change) string {
	return fmt.Sprintf("%s@%d.%d.%x", kind, c.Batch, c.ID, c.Mark)
}

func (r *reading) end(c eventlog.Change, kind, bookingID string) {
	r.ended = append(r.ended, db.EndedGroup{OwnerID: c.OwnerID, Group: db.GroupOf(kind, bookingID)})
}

// date writes a moment as messages have it, "" where the row says none.
func (r *reading) date(text string) string {
	at, err := db.ParseMoment(text, r.enc.Location)
	if err == nil && db.Known(at).IsZero() {
		return ""
	}
	return r.enc.date(text)
}

// readLarge takes in rows of one large transaction: of each account and kind one notification
// comes.
func (r *reading) readLarge(changes []eventlog.Change) {
	apart := newReading(r.enc.Location)
	apart.read(changes)
	for _, h := range apart.happened {
		last := len(r.happened) - 1
		found := false
		for i := last; i >= 0; i-- { // few: one for each account and kind
			if r.happened[i].OwnerID == h.OwnerID && r.happened[i].Kind == h.Kind && r.happened[i].Subject == "" {
				r.happened[i].Count, r.happened[i].Facts, r.happened[i].At = max(1, r.happened[i].Count)+1, h.Facts, h.At
				found = true
				break
			}
		}
		if !found {
			h.Subject = ""
			r.happened = append(r.happened, h)
		}
	}
	r.ended, r.everything = append(r.ended, apart.ended...), true
	r.payouts, r.payees = append(r.payouts, apart.payouts...), append(r.payees, apart.payees...)
}

// member takes in that somebody's role in an account changed.
func (r *reading) member(c eventlog.Change) {
	var who struct{ Member, Was, Role, By string }
	if len(c.Data) == 0 || json.Unmarshal(c.Data, &who) != nil || who.Member == "" || c.OwnerID == "" {
		return
	}
	r.members = append(r.members, db.Happening{OwnerID: c.OwnerID, Kind: db.KindMemberChanged, Key: keyOf(db.KindMemberChanged, c), At: c.At,
		Facts: MemberFacts{MemberID: who.Member, Was: who.Was, Role: who.Role}, DoneBy: who.By})
}

// noted takes in what servers tell each other.
func (r *reading) noted(c eventlog.Change) {
	var note db.NotificationNote
	if json.Unmarshal(c.Data, &note) != nil {
		return // of a newer version
	}
	r.invited = r.invited || note.Invitations
	if s := note.SignIn; s != nil && s.UserID != "" {
		r.signIns = append(r.signIns, db.Happening{UserID: s.UserID, Kind: db.KindNewSignIn, Key: keyOf(db.KindNewSignIn, c), At: c.At,
			Facts: SignInFacts{SessionID: s.SessionID}})
	}
}
