// Package realtime carries committed changes from the log to whoever is subscribed: an event bus that is a log with
// cursors, and the parts that feed it.
//
// It promises, per owner: events in the log's order, each once after a given position, from memory or, for a cursor that
// is further behind, from the log; the newest metrics, never an old one after a new one; and to say when history does
// not reach back. It knows nothing of SQL, HTTP, frames or users.
package realtime

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Types of message that describe something that happened (all but the last) or how things are (the last).
const (
	BookingCreated   = "booking_created"
	BookingUpdated   = "booking_updated"
	BookingCompleted = "booking_completed"
	RevenueReceived  = "revenue_received"
	OccupancyChanged = db.TypeOccupancy
	MetricsUpdated   = "metrics_updated"
)

// Event is one message, immutable once made and shared by all who send it. Events with a position are history and have
// an ID; metrics_updated has neither.
type Event struct {
	Position db.Position
	ID       string // opaque; "" for metrics_updated
	OwnerID  string
	Type     string
	JSON     []byte // the whole message, one JSON object

	frames [2]frame
}

// frame is the event's bytes on one transport, made when the first connection needs them.
type frame struct {
	once  sync.Once
	bytes []byte
}

// Frame returns the event as framed by frame for transport number kind (0 or 1), made once and shared from then on:
// the caller must not change it.
func (e *Event) Frame(kind int, make func(*Event) []byte) []byte {
	f := &e.frames[kind]
	f.once.Do(func() { f.bytes = make(e) })
	return f.bytes
}

// envelope is a message as it is sent.
type envelope struct {
	ID        string `json:"id,omitempty"`
	Type      string `json:"type"`
	Timestamp int64  `json:"timestamp"`
	OwnerID   string `json:"ownerId"`
	Data      any    `json:"data"`
}

// NewMessage encodes a message without a position: metrics_updated and the control messages. data is anything that
// encodes as a JSON object.
func NewMessage(typ, ownerID string, at time.Time, data any) (*Event, error) {
	text, err := json.Marshal(envelope{Type: typ, Timestamp: at.UnixMilli(), OwnerID: ownerID, Data: data})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", typ, err)
	}
	return &Event{OwnerID: ownerID, Type: typ, JSON: text}, nil
}

// BookingNotification is the data of booking_created. Amount is
// BRL, duration days, dates are RFC 3339 with the zone's offset, timestamp is Unix milliseconds.
type BookingNotification struct {
	ID           string     `json:"id"`
	BookingID    string     `json:"bookingId"`
	HangarNumber string     `json:"hangarNumber"`
	GuestName    string     `json:"guestName"`
	Amount       db.Decimal `json:"amount"`
	Duration     int        `json:"duration"`
	CheckInDate  string     `json:"checkInDate"`
	CheckOutDate string     `json:"checkOutDate"`
	Timestamp    int64      `json:"timestamp"`
}

// BookingChange is the data of booking_updated and booking_completed. A deleted booking has the status "deleted".
type BookingChange struct {
	BookingNotification
	Status         string `json:"status"`
	PreviousStatus string `json:"previousStatus"`
}

// Revenue is the data of revenue_received.
type Revenue struct {
	BookingID     string     `json:"bookingId"`
	HangarNumber  string     `json:"hangarNumber"`
	Amount        db.Decimal `json:"amount"`
	PaymentMethod string     `json:"paymentMethod"`
	Timestamp     int64      `json:"timestamp"`
}

// OccupancyChange is the data of occupancy_changed.
type OccupancyChange struct {
	HangarID         string `json:"hangarId"`
	HangarNumber     string `json:"hangarNumber"`
	IsNowOccupied    bool   `json:"isNowOccupied"`
	PreviousOccupant string `json:"previousOccupant,omitempty"`
	NewOccupant      string `json:"newOccupant,omitempty"`
	Timestamp        int64  `json:"timestamp"`
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

// Encoder turns changes into messages: the same change always into the same bytes.
type Encoder struct {
	Epoch    Epoch
	Location *time.Location // the zone in which dates are written
}

// Encode returns the message for a change. It returns an error for a type that is no message, or for data that the
// triggers cannot have written.
func (enc Encoder) Encode(c db.Change) (*Event, error) {
	l, err := read(c)
	if err != nil {
		return nil, err
	}
	return enc.encode(c, l)
}

// read returns what the triggers wrote down.
func read(c db.Change) (l logged, err error) {
	if err := json.Unmarshal(c.Data, &l); err != nil {
		return l, fmt.Errorf("read %s %d of the log: %w", c.Type, c.ID, err)
	}
	return l, nil
}

func (enc Encoder) encode(c db.Change, l logged) (*Event, error) {
	id, at := enc.Epoch.Format(c.OwnerID, c.Position), c.At.UnixMilli()
	var data any
	switch c.Type {
	case BookingCreated:
		data = enc.booking(id, at, l)
	case BookingUpdated, BookingCompleted:
		data = BookingChange{enc.booking(id, at, l), l.Status, l.PreviousStatus}
	case RevenueReceived:
		data = Revenue{l.BookingID, l.HangarNumber, l.Amount, l.PaymentMethod, at}
	case OccupancyChanged:
		data = OccupancyChange{l.HangarID, l.HangarNumber, l.IsNowOccupied, l.PreviousOccupant, l.NewOccupant, at}
	default:
		return nil, fmt.Errorf("encode %s %d of the log: no such message", c.Type, c.ID)
	}
	text, err := json.Marshal(envelope{ID: id, Type: c.Type, Timestamp: at, OwnerID: c.OwnerID, Data: data})
	if err != nil {
		return nil, fmt.Errorf("encode %s %d of the log: %w", c.Type, c.ID, err)
	}
	return &Event{Position: c.Position, ID: id, OwnerID: c.OwnerID, Type: c.Type, JSON: text}, nil
}

func (enc Encoder) booking(id string, at int64, l logged) BookingNotification {
	return BookingNotification{
		ID: id, BookingID: l.BookingID, HangarNumber: l.HangarNumber, GuestName: l.GuestName,
		Amount: l.Amount, Duration: l.Duration, CheckInDate: enc.date(l.CheckIn), CheckOutDate: enc.date(l.CheckOut),
		Timestamp: at,
	}
}

// date writes a moment as the triggers found it in RFC 3339 with the zone's offset. What cannot be read as a moment
// (PostgreSQL knows infinity) is passed on as it is.
func (enc Encoder) date(text string) string {
	t, err := db.ParseMoment(text, enc.Location)
	if err != nil {
		return text
	}
	return t.Format(time.RFC3339)
}
