package realtime

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// Encoder turns rows of the log into messages: the same row always into the same bytes.
type Encoder struct {
	Epoch    Epoch
	Location *time.Location // the zone in which dates are written
	Skips    *Skips         // counts what cannot be told; may be nil
}

// Meaning is what a row of the log says.
type Meaning int

// The meanings of rows.
const (
	// Nothing is what a row means that servers wrote for each other, or that only a newer
	// version understands.
	Nothing Meaning = iota
	// Message is something that happened, which is told to the owner's browsers.
	Message
	// Changed says that an owner's numbers may have changed.
	Changed
	// Access says that it may have changed who sees an account, or that a user's sessions
	// have ended.
	Access
	// Lost says that something happened which the log does not tell: it concerns the row's owner,
	// or all where there is none.
	Lost
)

// Row is a row of the log, understood.
type Row struct {
	eventlog.Change
	Meaning Meaning
	Event   *Event // of a Message
	UserID  string // whom Access concerns; "" for all who see the account
	// HangarID is the hangar that the row is about, "" for none, and CheckIn and CheckOut those of
	// a stay, as the triggers wrote them.
	HangarID, CheckIn, CheckOut string
}

// Decode says what a row of the log means. It is the only reader of rows: what the feed publishes
// live, what a replay tells, and what REST lists is the same. A message that cannot be read is a
// loss of its owner's, because it will not become readable by waiting.
func (enc Encoder) Decode(c eventlog.Change) Row {
	row := Row{Change: c}
	switch c.Type {
	case eventlog.TypeTruncated:
		row.Meaning = Lost
	case eventlog.TypeAccess:
		row.Meaning = Access
		var who struct {
			UserID string `json:"userId"`
		}
		if len(c.Data) > 0 && json.Unmarshal(c.Data, &who) == nil {
			row.UserID = who.UserID
		}
	case eventlog.TypeChanged:
		row.Meaning = Changed
		var l logged
		if len(c.Data) > 0 && json.Unmarshal(c.Data, &l) == nil {
			row.HangarID, row.CheckIn, row.CheckOut = l.HangarID, l.CheckIn, l.CheckOut
		}
	default:
		if encode := messages[c.Type]; encode != nil {
			enc.decodeMessage(&row, encode)
		} else if !strings.HasPrefix(c.Type, ".") {
			enc.Skips.note(c, SkippedUnknown, nil)
		}
	}
	return row
}

func (enc Encoder) decodeMessage(row *Row, encode encodeData) {
	var l logged
	err := json.Unmarshal(row.Data, &l)
	if err == nil {
		row.Event, err = enc.encode(row.Change, l, encode)
	}
	switch {
	case row.OwnerID == "": // nobody's
		row.Event = nil
		enc.Skips.note(row.Change, SkippedUnreadable, err)
	case err != nil:
		row.Meaning, row.Event = Lost, nil
		enc.Skips.note(row.Change, SkippedUnreadable, err)
	default:
		row.Meaning, row.HangarID, row.CheckIn, row.CheckOut = Message, l.HangarID, l.CheckIn, l.CheckOut
	}
}

// logged is what the triggers write down: the union of the fields of all types.
type logged struct {
	BookingID        string     `json:"bookingId"`
	HangarID         string     `json:"hangarId"`
	HangarNumber     string     `json:"hangarNumber"`
	GuestName        string     `json:"guestName"`
	Amount           db.Decimal `json:"amount"`
	Duration         int        `json:"duration"`
	CheckIn          string     `json:"checkIn"`
	CheckOut         string     `json:"checkOut"`
	Status           string     `json:"status"`
	PreviousStatus   string     `json:"previousStatus"`
	PaymentMethod    string     `json:"paymentMethod"`
	IsNowOccupied    bool       `json:"isNowOccupied"`
	PreviousOccupant string     `json:"previousOccupant"`
	NewOccupant      string     `json:"newOccupant"`
}

// encodeData returns the data of a message: id is the event's, at its time in milliseconds.
type encodeData func(enc Encoder, id string, at int64, l logged) any

// messages are the types of rows that become messages, which are those of eventlog.LogTypes.
var messages = map[string]encodeData{
	BookingCreated:   func(enc Encoder, id string, at int64, l logged) any { return enc.booking(id, at, l) },
	BookingUpdated:   Encoder.bookingChange,
	BookingCompleted: Encoder.bookingChange,
	RevenueReceived: func(_ Encoder, _ string, at int64, l logged) any {
		return Revenue{l.BookingID, l.HangarNumber, l.Amount, l.PaymentMethod, at}
	},
	OccupancyChanged: func(_ Encoder, _ string, at int64, l logged) any {
		return OccupancyChange{l.HangarID, l.HangarNumber, l.IsNowOccupied, l.PreviousOccupant, l.NewOccupant, at}
	},
}

func (enc Encoder) bookingChange(id string, at int64, l logged) any {
	return BookingChange{enc.booking(id, at, l), l.Status, l.PreviousStatus}
}

func (enc Encoder) encode(c eventlog.Change, l logged, encode encodeData) (*Event, error) {
	id, at := enc.Epoch.Format(c.OwnerID, c.Position), c.At.UnixMilli()
	text, err := json.Marshal(envelope{ID: id, Type: c.Type, Timestamp: at, OwnerID: c.OwnerID, Data: encode(enc, id, at, l)})
	if err != nil {
		return nil, fmt.Errorf("encode %s %d of the log: %w", c.Type, c.ID, err)
	}
	return &Event{Position: c.Position, At: c.At, ID: id, OwnerID: c.OwnerID, Type: c.Type, JSON: text}, nil
}

func (enc Encoder) booking(id string, at int64, l logged) BookingNotification {
	return BookingNotification{
		ID: id, BookingID: l.BookingID, HangarNumber: l.HangarNumber, GuestName: l.GuestName,
		Amount: l.Amount, Duration: l.Duration, CheckInDate: enc.date(l.CheckIn), CheckOutDate: enc.date(l.CheckOut),
		Timestamp: at,
	}
}

// date writes a moment as the triggers found it in RFC 3339 with the zone's offset, as REST does.
// What cannot be read as a moment is passed on as it is.
func (enc Encoder) date(text string) string {
	t, err := db.ParseMoment(text, enc.Location)
	if err != nil {
		return text
	}
	return t.Format(time.RFC3339)
}
