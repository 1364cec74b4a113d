// Package realtime carries committed changes from the log to its subscribers: an event bus
// that is a log with cursors, and the parts that feed it.
//
// It promises, per owner: events in the log's order, each once after a given position;
// the newest metrics, never an old one after a new one; and to say when history does not
// reach back. Events come from memory or, for a cursor that is further behind, from the
// log. It knows nothing of SQL, HTTP, frames or users.
package realtime

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// Types of message that describe something that happened, or, the last three, how things are.
const (
	BookingCreated   = "booking_created"
	BookingUpdated   = "booking_updated"
	BookingCompleted = "booking_completed"
	RevenueReceived  = "revenue_received"
	OccupancyChanged = eventlog.TypeOccupancy
	MetricsUpdated   = "metrics_updated"
	OverviewUpdated  = "overview_updated"
	// NotificationsUpdated is told to each user of an account apart.
	NotificationsUpdated = "notifications_updated"
)

// Event is one message, immutable once made and shared by all who send it. Events with a position
// are history and have an ID; state has neither.
type Event struct {
	Position eventlog.Position
	// ID is opaque, and "" for state. A control message that names the stream's position
	// here does not in JSON.
	ID      string
	OwnerID string
	Type    string
	JSON    []byte // the whole message, one JSON object
	// Retry is after what time a client that reconnects by itself is asked to do so, should the
	// connection end; 0 for nothing new. It is not in JSON.
	Retry time.Duration

	At       time.Time // of history: the start of its transaction, by the database's clock
	canaryAt time.Time // the same of a canary

	data []byte // of a message without a position: what it says, wherever and whenever it was made

	frames [2]frame
}

// frame is the event's bytes on one transport, made when the first connection needs them.
type frame struct {
	once  sync.Once
	bytes []byte
}

// Frame returns the event as framed by frame for transport number kind (0 or 1), made once and
// shared from then on: the caller must not change it.
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

// NewMessage encodes a message without a position: state and the control messages. data is anything
// that encodes as a JSON object.
func NewMessage(typ, ownerID string, at time.Time, data any) (*Event, error) {
	said, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", typ, err)
	}
	text, err := json.Marshal(envelope{Type: typ, Timestamp: at.UnixMilli(), OwnerID: ownerID, Data: json.RawMessage(said)})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", typ, err)
	}
	return &Event{OwnerID: ownerID, Type: typ, JSON: text, data: said}, nil
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

// BookingChange is the data of booking_updated and booking_completed. A deleted booking
// has the status "deleted".
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
