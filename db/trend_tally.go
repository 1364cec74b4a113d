package db

// tally is what happened in a bucket. sold and offered are spaces by nights, or by milliseconds.
type tally struct {
	revenue                      money
	created, cancelled, arrivals int64
	nights, withNights           int64
	sold, offered                int64
}

func (t *tally) add(other *tally, sign int64) {
	t.revenue.add(other.revenue, sign)
	t.created, t.cancelled, t.arrivals = t.created+sign*other.created, t.cancelled+sign*other.cancelled, t.arrivals+sign*other.arrivals
	t.nights, t.withNights = t.nights+sign*other.nights, t.withNights+sign*other.withNights
	t.sold, t.offered = t.sold+sign*other.sold, t.offered+sign*other.offered
}

// tallies are some by number of their bucket.
type tallies map[int]*tally

func (t tallies) at(n int) *tally {
	if t[n] == nil {
		t[n] = &tally{}
	}
	return t[n]
}

// trendSum is a tally as the database tells it.
type trendSum struct {
	Bucket     int    `db:"bucket"`
	Part       int    `db:"part"`
	Revenue    string `db:"revenue"`
	Created    int64  `db:"created"`
	Cancelled  int64  `db:"cancelled"`
	Arrivals   int64  `db:"arrivals"`
	Nights     int64  `db:"nights"`
	WithNights int64  `db:"with_nights"`
}

func (s trendSum) tally() (*tally, error) {
	revenue, err := parseMoney(s.Revenue)
	if err != nil {
		return nil, err
	}
	return &tally{revenue: revenue, created: s.Created, cancelled: s.Cancelled, arrivals: s.Arrivals, nights: s.Nights, withNights: s.WithNights}, nil
}
