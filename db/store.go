package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// QueryTimeout bounds one question to the database.
const QueryTimeout = 5 * time.Second

// Decimal is an exact decimal number as PostgreSQL writes it. It is a JSON number on the
// wire and never a float here.
type Decimal string

// MarshalJSON implements json.Marshaler; what is no number (PostgreSQL's NaN and
// infinities) becomes 0.
func (d Decimal) MarshalJSON() ([]byte, error) {
	if !d.IsNumber() {
		return []byte("0"), nil
	}
	return []byte(d), nil
}

// IsNumber reports whether it is one, and neither nothing nor PostgreSQL's NaN and infinities.
func (d Decimal) IsNumber() bool { return d != "" && !strings.ContainsAny(string(d), "Nn") }

// UnmarshalJSON implements json.Unmarshaler: it keeps the digits of a JSON number. PostgreSQL
// writes what is no number (NaN and infinities) as text.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*d = "NaN"
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("read decimal %s: %w", b, err)
	}
	*d = Decimal(n)
	return nil
}

// Day is a date, sent as the first instant of that day in the installation's time zone
// (RFC 3339 with offset).
type Day struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (d Day) MarshalJSON() ([]byte, error) { return json.Marshal(d.Format(time.RFC3339)) }

// RealTimeMetrics is an owner's numbers, as computed and as sent. Money is BRL with two decimals,
// rates are percentages with one.
type RealTimeMetrics struct {
	RevenueToday     Decimal `json:"revenueToday" db:"revenue_today"`
	BookingsToday    int     `json:"bookingsToday" db:"bookings_today"`
	OccupancyRate    Decimal `json:"occupancyRate" db:"occupancy_rate"`
	GrowthPercentage Decimal `json:"growthPercentage" db:"growth_percentage"`
	ActiveListings   int     `json:"activeListings" db:"active_listings"`
	PendingPayouts   Decimal `json:"pendingPayouts" db:"pending_payouts"`
	NextPayoutDate   Day     `json:"nextPayoutDate" db:"-"`
}

// Validity is for how long numbers hold: until an instant, if nothing is written about their owner
// or these hangars of theirs. The zero time says that it is not known.
type Validity struct {
	Until   time.Time
	Hangars []string
}

// Account is an owner account that a user may see.
type Account struct {
	OwnerID     string `json:"ownerId" db:"owner_id"`
	CompanyName string `json:"companyName" db:"company_name"`
	Role        Role   `json:"role" db:"role"`
	// Own says that the account is the user's by hangar_owners.user_id, and not shared with them.
	Own bool `json:"-" db:"own"`
}

// User is a person who signs in.
type User struct {
	ID    string `json:"id" db:"id"`
	Name  string `json:"name" db:"name"`
	Email string `json:"email" db:"email"`
}

// Store answers questions about the present, from the portal's own tables.
type Store struct {
	pool *sqlx.DB
	loc  *time.Location
	zone zoneDays
	now  atomic.Pointer[written]
	// guard is of the questions that an owner's page and streams live on, and account of those
	// about people: who is asking, members, invitations, tickets.
	guard, account Breaker
	// by owner: one question at a time that reads the whole history of an owner
	history keyedLock

	// who asks for the access of one caller waits for a query about all who ask at the moment
	access Loader[accessKey, accessAnswer]
	// the same for the accounts of a user
	accounts Loader[string, accountsAnswer]

	hidden atomic.Pointer[error] // see CheckRowSecurity

	reshaping sync.Mutex // held while looking whether there is another shape; guards what follows
	former    *written   // before now
	checkedAt time.Time
}

// NewStore reads what the portal's tables look like and returns a Store over them; days begin and
// end in loc. The database must be migrated.
func NewStore(ctx context.Context, pool *sqlx.DB, loc *time.Location) (*Store, error) {
	s, err := inspect(ctx, pool)
	if err != nil {
		return nil, err
	}
	if s.server, err = askServer(ctx, pool); err != nil {
		return nil, err
	}
	store := &Store{pool: pool, loc: loc, zone: newZoneDays(loc), guard: NewBreaker("present", 0), account: NewBreaker("account", 0)}
	store.access.Ask, store.access.Most, store.access.Parallel, store.access.Gather = store.accesses, mostAsked, parallelAsked, gatherAsked
	store.accounts.Ask, store.accounts.Most, store.accounts.Parallel, store.accounts.Gather = store.accountsOf, mostAsked, parallelAsked, gatherAsked
	store.access.Repeats, store.accounts.Repeats = true, true
	store.now.Store(&written{shape: s, sql: newQueries(s, store.zone)})
	return store, store.CheckRowSecurity(ctx)
}

// read has ask fill a copy of into, and into itself when there was an answer in time: a
// later one is nobody's any more.
func read(ctx context.Context, purpose Breaker, into any, args []any, ask func(fresh any) error) error {
	if err := checkText(args); err != nil {
		return err
	}
	target := reflect.ValueOf(into).Elem()
	fresh := reflect.New(target.Type())
	fresh.Elem().Set(target)
	_, err := Answer(ctx, purpose, func() (none struct{}, err error) { return none, ask(fresh.Interface()) })
	if err == nil {
		target.Set(fresh.Elem())
	}
	return refusedText(err)
}

// Location returns the zone in which days begin and end.
func (s *Store) Location() *time.Location { return s.loc }

// Metrics computes the numbers of an owner at the instant now.
func (s *Store) Metrics(ctx context.Context, ownerID string, now time.Time) (RealTimeMetrics, Validity, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	row, err := s.metricsRow(ctx, s.metricsArgs(ownerID, now))
	if err != nil {
		return RealTimeMetrics{}, Validity{}, fmt.Errorf("compute metrics of owner %s: %w", ownerID, err)
	}
	return row.metrics(now, s.loc), Validity{row.Until, row.Hangars}, nil
}

// metricsRow is what a metrics query returns. Trusted says that it was the projection's to answer,
// which also knows the Validity.
type metricsRow struct {
	RealTimeMetrics
	Spaces
	GrowthBasis GrowthBasis    `db:"growth_basis"`
	ScheduledOn sql.NullTime   `db:"scheduled_on"`
	Trusted     bool           `db:"trusted"`
	Until       time.Time      `db:"until"`
	Hangars     pq.StringArray `db:"hangars"`
	Shape       int64          `db:"shape"` // of the portal's tables, by number
}

// metrics returns the numbers at the instant now, the next payout day included.
func (r metricsRow) metrics(now time.Time, loc *time.Location) RealTimeMetrics {
	m := r.RealTimeMetrics
	m.NextPayoutDate = Day{nextPayoutDay(now, loc)}
	if r.ScheduledOn.Valid {
		y, mo, d := r.ScheduledOn.Time.Date()
		if scheduled := dayStart(y, mo, d, loc); scheduled.Before(m.NextPayoutDate.Time) {
			m.NextPayoutDate = Day{scheduled}
		}
	}
	return m
}

// says reports whether two rows say the same.
func (r metricsRow) says(other metricsRow) bool {
	return r.RealTimeMetrics == other.RealTimeMetrics && r.Spaces == other.Spaces && r.GrowthBasis == other.GrowthBasis &&
		r.ScheduledOn == other.ScheduledOn
}

// metricsArgs are the parameters of a metrics query.
func (s *Store) metricsArgs(ownerID string, now time.Time) []any {
	args := []any{ownerID, now}
	var dates []any
	for _, offset := range []int{0, 1, -6, -13} {
		at := dayOffset(now, offset, s.loc)
		args, dates = append(args, at), append(dates, at.Format(time.DateOnly))
	}
	return append(args, dates...)
}

// metricsRow asks the projection, and the tables themselves when it does not answer.
func (s *Store) metricsRow(ctx context.Context, args []any) (row metricsRow, err error) {
	err = s.asking(ctx, func(w *written) (err error) {
		row, err = s.metricsBy(ctx, w, args)
		return err
	})
	// and another one again: the caller that is told of it asks again
	if errors.Is(err, errOtherShape) {
		err = nil
	}
	return row, err
}

func (s *Store) metricsBy(ctx context.Context, w *written, args []any) (row metricsRow, err error) {
	err = s.getBy(ctx, w, s.guard, &row, w.sql.projection.metrics, args...)
	if !(err == nil && row.Trusted || Unavailable(err) || ctx.Err() != nil) {
		row = metricsRow{}
		err = s.getBy(ctx, w, s.guard, &row, w.sql.metrics, args...)
	}
	if err == nil && row.Shape != w.shape.number {
		err = errOtherShape
	}
	return row, err
}

// Booking is one booking as the page lists it.
type Booking struct {
	BookingID     string    `db:"booking_id"`
	HangarID      string    `db:"hangar_id"`
	HangarNumber  string    `db:"hangar_number"`
	GuestName     string    `db:"guest_name"`
	Amount        Decimal   `db:"amount"` // 0 where it is not Priced
	Priced        bool      `db:"priced"` // its row says a finite price
	Nights        int       `db:"nights"`
	CheckIn       time.Time `db:"check_in"`
	CheckOut      time.Time `db:"check_out"`
	CreatedAt     time.Time `db:"created_at"`
	Status        string    `db:"status"`
	PaymentMethod string    `db:"payment_method"`
	Paid          bool      `db:"paid"`
}

// Bookings returns an owner's newest bookings, newest first, at most limit; of one status
// unless that is "".
func (s *Store) Bookings(ctx context.Context, ownerID, status string, limit int) ([]Booking, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	bookings := []Booking{}
	if err := s.list(ctx, &bookings, func(q *queries) string { return q.bookings }, ownerID, s.loc.String(), limit, status); err != nil {
		return nil, fmt.Errorf("read bookings of owner %s: %w", ownerID, err)
	}
	return s.local(bookings), nil
}

// Booking returns one booking of an owner, or ErrNotFound.
func (s *Store) Booking(ctx context.Context, ownerID, bookingID string) (b Booking, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var found []Booking
	if err := s.list(ctx, &found, func(q *queries) string { return q.booking }, ownerID, s.loc.String(), bookingID); err != nil {
		return b, fmt.Errorf("read booking of owner %s: %w", ownerID, err)
	}
	if len(found) == 0 {
		return b, ErrNotFound
	}
	return s.local(found)[0], nil
}

// Today returns an owner's bookings whose guests arrive or leave on the day of now,
// cancelled ones left out, in the order of the hours at which they do, at most limit; of
// one status unless that is "".
func (s *Store) Today(ctx context.Context, ownerID, status string, now time.Time, limit int) ([]Booking, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	today, tomorrow := dayOffset(now, 0, s.loc), dayOffset(now, 1, s.loc)
	bookings := []Booking{}
	if err := s.list(ctx, &bookings, func(q *queries) string { return q.today }, ownerID, s.loc.String(), limit,
		today, tomorrow, today.Format(time.DateOnly), tomorrow.Format(time.DateOnly), status); err != nil {
		return nil, fmt.Errorf("read today's arrivals of owner %s: %w", ownerID, err)
	}
	return s.local(bookings), nil
}

// local brings the times of bookings into the installation's zone.
func (s *Store) local(bookings []Booking) []Booking {
	for i := range bookings {
		b := &bookings[i]
		b.CheckIn, b.CheckOut, b.CreatedAt = b.CheckIn.In(s.loc), b.CheckOut.In(s.loc), b.CreatedAt.In(s.loc)
	}
	return bookings
}

// Listing is one hangar of an owner and who is in it.
type Listing struct {
	HangarID       string  `json:"hangarId" db:"hangar_id"`
	HangarNumber   string  `json:"hangarNumber" db:"hangar_number"`
	ICAOCode       string  `json:"icaoCode" db:"icao_code"`
	AerodromeName  string  `json:"aerodromeName" db:"aerodrome_name"`
	City           string  `json:"city" db:"city"`
	Status         string  `json:"status" db:"status"`
	IsAvailable    bool    `json:"isAvailable" db:"is_available"`
	DailyRate      Decimal `json:"dailyRate" db:"daily_rate"`
	TotalSpaces    int     `json:"totalSpaces" db:"total_spaces"`
	OccupiedSpaces int     `json:"occupiedSpaces" db:"occupied_spaces"`
	IsNowOccupied  bool    `json:"isNowOccupied" db:"is_now_occupied"`
	Occupant       string  `json:"occupant,omitempty" db:"occupant"`
}

// Listings returns an owner's hangars by number, with their occupation at the instant now. Who is
// in them is the projection's to answer where it may: the hangars' whole history is not read.
func (s *Store) Listings(ctx context.Context, ownerID string, now time.Time) ([]Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	date := now.In(s.loc).Format(time.DateOnly)
	listings := []Listing{}
	err := s.list(ctx, &listings, func(q *queries) string { return q.projection.listings }, ownerID, now, date)
	if len(listings) == 0 && !Unavailable(err) && ctx.Err() == nil {
		err = s.list(ctx, &listings, func(q *queries) string { return q.listings }, ownerID, now, date)
	}
	if err != nil {
		return nil, fmt.Errorf("read listings of owner %s: %w", ownerID, err)
	}
	return listings, nil
}

// User returns a user by id, or ErrNotFound.
func (s *Store) User(ctx context.Context, userID string) (User, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var u User
	err := s.getFor(ctx, s.account, &u, func(q *queries) string { return q.user }, userID)
	if errors.Is(err, sql.ErrNoRows) {
		return u, ErrNotFound
	}
	if err != nil {
		return u, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// CanonicalOwnerID returns an owner id in the one form under which the log and the bus know it, or
// ErrInvalidID when the text cannot be an id in this database.
func (s *Store) CanonicalOwnerID(id string) (string, error) {
	return canonicalID(s.now.Load().shape.ownerID, id)
}

// CanonicalUserID returns a user id in the one form under which members and sessions know it, or
// ErrInvalidID when the text cannot be an id in this database.
func (s *Store) CanonicalUserID(id string) (string, error) {
	return canonicalID(s.now.Load().shape.userID, id)
}

// canonicalID returns an id as PostgreSQL writes one of a column's type.
func canonicalID(columnType, id string) (string, error) {
	bits := 64
	switch columnType {
	case "smallint":
		bits = 16
	case "integer":
		bits = 32
	case "bigint", "numeric":
	case "uuid":
		if id = strings.ToLower(id); !uuidForm.MatchString(id) {
			return "", ErrInvalidID
		}
		return id, nil
	default:
		if id == "" || len(id) > 128 || columnType == "bpchar" && strings.HasSuffix(id, " ") || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0xFFFD }) {
			return "", ErrInvalidID
		}
		return id, nil
	}
	n, err := strconv.ParseInt(id, 10, bits)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != id {
		return "", ErrInvalidID
	}
	return id, nil
}
