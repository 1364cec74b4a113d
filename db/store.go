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
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// queryTimeout bounds one question to the database.
const queryTimeout = 5 * time.Second

// Decimal is an exact decimal number as PostgreSQL writes it. It is a JSON number on the wire and never a float here.
type Decimal string

// MarshalJSON implements json.Marshaler; what is no number (PostgreSQL's NaN and infinities) becomes 0.
func (d Decimal) MarshalJSON() ([]byte, error) {
	if d == "" || strings.ContainsAny(string(d), "Nn") {
		return []byte("0"), nil
	}
	return []byte(d), nil
}

// UnmarshalJSON implements json.Unmarshaler: it keeps the digits of a JSON number. PostgreSQL writes what is no number
// (NaN and infinities) as text.
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

// Day is a date, sent as the first instant of that day in the installation's time zone (RFC 3339 with offset).
type Day struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (d Day) MarshalJSON() ([]byte, error) { return json.Marshal(d.Format(time.RFC3339)) }

// RealTimeMetrics is an owner's numbers, as computed and as sent. Money is BRL with two decimals, rates are
// percentages with one.
type RealTimeMetrics struct {
	RevenueToday     Decimal `json:"revenueToday" db:"revenue_today"`
	BookingsToday    int     `json:"bookingsToday" db:"bookings_today"`
	OccupancyRate    Decimal `json:"occupancyRate" db:"occupancy_rate"`
	GrowthPercentage Decimal `json:"growthPercentage" db:"growth_percentage"`
	ActiveListings   int     `json:"activeListings" db:"active_listings"`
	PendingPayouts   Decimal `json:"pendingPayouts" db:"pending_payouts"`
	NextPayoutDate   Day     `json:"nextPayoutDate" db:"-"`
}

// Validity is for how long numbers hold: until an instant, if nothing is written about their owner or these hangars of his. The zero
// time says that it is not known.
type Validity struct {
	Until   time.Time
	Hangars []string
}

// Account is an owner account that a user may see.
type Account struct {
	OwnerID     string `json:"ownerId" db:"owner_id"`
	CompanyName string `json:"companyName" db:"company_name"`
	Role        Role   `json:"role" db:"role"`
}

// User is a person who signs in.
type User struct {
	ID    string `json:"id" db:"id"`
	Name  string `json:"name" db:"name"`
	Email string `json:"email" db:"email"`
}

// Store answers questions about the present, from the portal's own tables.
type Store struct {
	pool  *sqlx.DB
	loc   *time.Location
	shape shape
	sql   queries
	guard breaker
	// prepared are the statements of queries that are asked very often: PostgreSQL takes longer to plan them than to answer.
	prepared map[string]*sqlx.Stmt
}

// NewStore reads what the portal's tables look like and returns a Store over them; days begin and end in loc.
// The database must be migrated.
func NewStore(ctx context.Context, pool *sqlx.DB, loc *time.Location) (*Store, error) {
	s, err := inspect(ctx, pool)
	if err != nil {
		return nil, err
	}
	return &Store{pool: pool, loc: loc, shape: s, sql: newQueries(s), guard: newBreaker()}, nil
}

// Prepare has the most frequent queries planned once for each connection. It must be called before the first of them, and not
// where a transaction pooler stands before the database: that gives a connection from hand to hand.
func (s *Store) Prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	prepared := make(map[string]*sqlx.Stmt)
	for _, query := range []string{s.sql.ledger.news, s.sql.ledger.metrics, s.sql.metrics, s.sql.access} {
		statement, err := s.pool.PreparexContext(ctx, query)
		if err != nil {
			return fmt.Errorf("prepare queries: %w", explain(err))
		}
		prepared[query] = statement
	}
	s.prepared = prepared
	return nil
}

// get reads one row, and list any number, unless the database is away.
func (s *Store) get(ctx context.Context, into any, query string, args ...any) error {
	return s.read(ctx, into, func(fresh any) error {
		if statement := s.prepared[query]; statement != nil {
			return statement.GetContext(ctx, fresh, args...)
		}
		return s.pool.GetContext(ctx, fresh, query, args...)
	})
}

func (s *Store) list(ctx context.Context, into any, query string, args ...any) error {
	return s.read(ctx, into, func(fresh any) error { return s.pool.SelectContext(ctx, fresh, query, args...) })
}

// read has ask fill a copy of into, and into itself when there was an answer in time: a later one is nobody's any more.
func (s *Store) read(ctx context.Context, into any, ask func(fresh any) error) error {
	target := reflect.ValueOf(into).Elem()
	fresh := reflect.New(target.Type())
	fresh.Elem().Set(target)
	_, err := answerTo(ctx, s.guard, func() (none struct{}, err error) { return none, ask(fresh.Interface()) })
	if err == nil {
		target.Set(fresh.Elem())
	}
	return err
}

// Location returns the zone in which days begin and end.
func (s *Store) Location() *time.Location { return s.loc }

// Metrics computes the numbers of an owner at the instant now.
func (s *Store) Metrics(ctx context.Context, ownerID string, now time.Time) (RealTimeMetrics, Validity, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	row, err := s.metricsRow(ctx, s.metricsArgs(ownerID, now))
	if err != nil {
		return RealTimeMetrics{}, Validity{}, fmt.Errorf("compute metrics of owner %s: %w", ownerID, err)
	}
	m := row.RealTimeMetrics
	m.NextPayoutDate = Day{nextPayoutDay(now, s.loc)}
	if row.ScheduledOn.Valid {
		y, mo, d := row.ScheduledOn.Time.Date()
		if scheduled := dayStart(y, mo, d, s.loc); scheduled.Before(m.NextPayoutDate.Time) {
			m.NextPayoutDate = Day{scheduled}
		}
	}
	return m, Validity{row.Until, row.Hangars}, nil
}

// metricsRow is what a metrics query returns. Trusted says that it was the ledger's to answer, which also knows the Validity.
type metricsRow struct {
	RealTimeMetrics
	ScheduledOn sql.NullTime   `db:"scheduled_on"`
	Trusted     bool           `db:"trusted"`
	Until       time.Time      `db:"until"`
	Hangars     pq.StringArray `db:"hangars"`
}

// says reports whether two rows say the same.
func (r metricsRow) says(other metricsRow) bool {
	return r.RealTimeMetrics == other.RealTimeMetrics && r.ScheduledOn == other.ScheduledOn
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

// metricsRow asks the ledger, and the tables themselves when it does not answer.
func (s *Store) metricsRow(ctx context.Context, args []any) (row metricsRow, err error) {
	err = s.get(ctx, &row, s.sql.ledger.metrics, args...)
	if err == nil && row.Trusted || Unavailable(err) || ctx.Err() != nil {
		return row, err
	}
	row = metricsRow{}
	err = s.get(ctx, &row, s.sql.metrics, args...)
	return row, err
}

// Booking is one booking as the page lists it.
type Booking struct {
	BookingID     string    `db:"booking_id"`
	HangarID      string    `db:"hangar_id"`
	HangarNumber  string    `db:"hangar_number"`
	GuestName     string    `db:"guest_name"`
	Amount        Decimal   `db:"amount"`
	Nights        int       `db:"nights"`
	CheckIn       time.Time `db:"check_in"`
	CheckOut      time.Time `db:"check_out"`
	CreatedAt     time.Time `db:"created_at"`
	Status        string    `db:"status"`
	PaymentMethod string    `db:"payment_method"`
	Paid          bool      `db:"paid"`
}

// Bookings returns an owner's newest bookings, newest first, at most limit.
func (s *Store) Bookings(ctx context.Context, ownerID string, limit int) ([]Booking, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	bookings := []Booking{}
	if err := s.list(ctx, &bookings, s.sql.bookings, ownerID, s.loc.String(), limit); err != nil {
		return nil, fmt.Errorf("read bookings of owner %s: %w", ownerID, err)
	}
	return s.local(bookings), nil
}

// Today returns an owner's bookings whose guests arrive or leave on the day of now, cancelled ones left out, in the order
// of the hours at which they do, at most limit.
func (s *Store) Today(ctx context.Context, ownerID string, now time.Time, limit int) ([]Booking, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	today, tomorrow := dayOffset(now, 0, s.loc), dayOffset(now, 1, s.loc)
	bookings := []Booking{}
	if err := s.list(ctx, &bookings, s.sql.today, ownerID, s.loc.String(), limit,
		today, tomorrow, today.Format(time.DateOnly), tomorrow.Format(time.DateOnly)); err != nil {
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

// Listings returns an owner's hangars by number, with their occupation at the instant now.
func (s *Store) Listings(ctx context.Context, ownerID string, now time.Time) ([]Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	listings := []Listing{}
	date := now.In(s.loc).Format(time.DateOnly)
	if err := s.list(ctx, &listings, s.sql.listings, ownerID, now, date); err != nil {
		return nil, fmt.Errorf("read listings of owner %s: %w", ownerID, err)
	}
	return listings, nil
}

// User returns a user by id, or ErrNotFound.
func (s *Store) User(ctx context.Context, userID string) (User, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var u User
	err := s.get(ctx, &u, s.sql.user, userID)
	if errors.Is(err, sql.ErrNoRows) {
		return u, ErrNotFound
	}
	if err != nil {
		return u, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// CanonicalOwnerID returns an owner id in the one form under which the log and the bus know it, or ErrInvalidID
// when the text cannot be an id in this database.
func (s *Store) CanonicalOwnerID(id string) (string, error) {
	bits := 64
	switch s.shape.ownerID {
	case "smallint":
		bits = 16
	case "integer":
		bits = 32
	case "bigint":
	case "uuid":
		if id = strings.ToLower(id); !uuidForm.MatchString(id) {
			return "", ErrInvalidID
		}
		return id, nil
	default:
		if id == "" || len(id) > 128 || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0xFFFD }) {
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
