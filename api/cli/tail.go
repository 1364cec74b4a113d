package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/api/loadtest"
	"github.com/hangarshare/hangarshare-realtime/api/tail"
)

// tailToken is how long a token lives that is signed for one connection.
const tailToken = time.Hour

// tailCommand shows the live stream of an owner account.
type tailCommand struct {
	URL   string `name:"url" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The server."`
	Owner string `placeholder:"ID" help:"The owner account; may be left out by a user with exactly one."`
	Token string `placeholder:"-|FILE" xor:"who" help:"Read an access token from standard input (-) or a file."`
	User  string `placeholder:"ID" xor:"who" help:"Sign tokens for this user with the server's key (--jwt-secret, or that in DATA_DIR). Without this and --token: a visitor of a demo server."`
	After string `placeholder:"ID" help:"Begin after this event, instead of now."`
	JSON  bool   `name:"json" help:"Print each message as a line of JSON, as it was sent."`
}

// Run follows the stream until ctx ends.
func (c *tailCommand) Run(ctx context.Context, s *Settings, log *slog.Logger, out io.Writer) error {
	token, err := c.tokens(s)
	if err != nil {
		return err
	}
	print := printMessage
	if c.JSON {
		print = printJSON
	}
	f := &tail.Follower{URL: c.URL, OwnerID: c.Owner, Token: token, After: c.After, Log: log,
		Each: func(m tail.Message) error { return print(out, m) }}
	err = f.Run(ctx)
	if f.After != "" {
		log.Info("to go on from here, give --after", "after", f.After)
	}
	return err
}

// tokens returns where the tokens of connections come from.
func (c *tailCommand) tokens(s *Settings) (func(context.Context) (string, error), error) {
	switch {
	case c.Token != "":
		token, err := (&checkCommand{Token: c.Token}).readToken()
		return func(context.Context) (string, error) { return token, nil }, err
	case c.User != "":
		secret, err := s.presentSecret()
		if err == nil && len(secret) == 0 {
			err = errors.New("--user needs the server's key: JWT_SECRET, or DATA_DIR with the key of a server that ran there")
		}
		return func(context.Context) (string, error) {
			token, _, err := api.NewTokens(secret).Sign(c.User, "", tailToken)
			return token, err
		}, err
	}
	return func(ctx context.Context) (string, error) {
		owners := []string{}
		if c.Owner != "" {
			owners = append(owners, c.Owner)
		}
		visitors, err := loadtest.SignIn(ctx, c.URL, true, nil, owners)
		if err != nil {
			return "", err
		}
		if c.Owner == "" {
			c.Owner = visitors[0].OwnerID
		}
		return visitors[0].Token, nil
	}, nil
}

// printJSON prints a message as it was sent, on a line of its own. Control characters that JSON
// allows in a text, and that a terminal would obey, are escaped, which means the same.
func printJSON(out io.Writer, m tail.Message) error {
	var line bytes.Buffer
	for _, r := range string(m.JSON) {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			fmt.Fprintf(&line, `\u%04x`, r)
		} else {
			line.WriteRune(r)
		}
	}
	line.WriteByte('\n')
	_, err := out.Write(line.Bytes())
	return err
}

// facts are the fields of messages that people are told.
type facts struct {
	BookingID, HangarNumber, GuestName, Status, PreviousStatus, PaymentMethod string
	CheckInDate, CheckOutDate                                                 string
	PreviousOccupant, NewOccupant                                             string
	IsNowOccupied, Recovered, More                                            bool
	LastEventID, OwnerID, Message, GrowthBasis                                string
	Amount, RevenueToday, OccupancyRate, GrowthPercentage, PendingPayouts     json.Number
	BookingsToday, ActiveListings, Unread, Unseen, Code                       json.Number
	RetryMs, ExpiresAt                                                        int64
	Spaces                                                                    struct{ Occupied, Offered json.Number }
	Items                                                                     []json.RawMessage
}

// printMessage prints a message as a line for people.
func printMessage(out io.Writer, m tail.Message) error {
	text, known := describe(m)
	if !known {
		text = string(m.Data) // of a newer version
	}
	at := time.UnixMilli(m.Timestamp)
	_, err := fmt.Fprintf(out, "%s  %-22s %s\n", at.Format(time.TimeOnly), printable(strings.ReplaceAll(m.Type, "_", " ")), printable(text))
	return err
}

// describe says what a message tells, and whether its type is known here.
func describe(m tail.Message) (text string, known bool) {
	var f facts
	decoder := json.NewDecoder(bytes.NewReader(m.Data))
	decoder.UseNumber()
	if decoder.Decode(&f) != nil {
		return "", false
	}
	tell, known := tellings[m.Type]
	if !known {
		return "", false
	}
	return tell(&f), true
}

// tellings are the types of messages, and what is said of each.
var tellings = map[string]func(*facts) string{
	"booking_created":   (*facts).booking,
	"booking_updated":   (*facts).changedBooking,
	"booking_completed": (*facts).changedBooking,
	"revenue_received": func(f *facts) string {
		return fmt.Sprintf("#%s %s, BRL %s by %s", f.BookingID, f.HangarNumber, f.Amount, cmp.Or(f.PaymentMethod, "-"))
	},
	"occupancy_changed": func(f *facts) string {
		if f.IsNowOccupied {
			return fmt.Sprintf("%s is occupied: %s", f.HangarNumber, cmp.Or(f.NewOccupant, "-"))
		}
		return fmt.Sprintf("%s is empty; it was %s", f.HangarNumber, cmp.Or(f.PreviousOccupant, "-"))
	},
	"metrics_updated": func(f *facts) string {
		return fmt.Sprintf("today BRL %s and %s bookings, %s %% occupied, growth %s %%, %s listings, BRL %s to be paid out",
			f.RevenueToday, f.BookingsToday, f.OccupancyRate, f.GrowthPercentage, f.ActiveListings, f.PendingPayouts)
	},
	"overview_updated": func(f *facts) string {
		growth := map[string]string{"compared": "growth compares two weeks", "none": "no revenue in either week", "new": "no revenue in the earlier week"}
		return fmt.Sprintf("%s of %s spaces are occupied; %s", f.Spaces.Occupied, f.Spaces.Offered, cmp.Or(growth[f.GrowthBasis], f.GrowthBasis))
	},
	"notifications_updated": func(f *facts) string {
		changed := fmt.Sprintf("%d changed", len(f.Items))
		if f.More {
			changed += ", and more"
		}
		return fmt.Sprintf("%s unread, %s unseen; %s", f.Unread, f.Unseen, changed)
	},
	"connection_established": func(f *facts) string {
		if f.Recovered {
			return fmt.Sprintf("owner %s, after %s", f.OwnerID, f.LastEventID)
		}
		return fmt.Sprintf("owner %s, with a gap in its history", f.OwnerID)
	},
	"heartbeat": func(f *facts) string { return "all is well, after " + f.LastEventID },
	"resync": func(*facts) string {
		return "what was missed is not kept any more: the stream goes on from now"
	},
	"token_expiring": func(f *facts) string { return "the token ends at " + clockTime(f.ExpiresAt) },
	"refreshed":      func(f *facts) string { return "a new token counts, until " + clockTime(f.ExpiresAt) },
	"token_expired":  func(*facts) string { return "the token has ended" },
	"server_closing": func(f *facts) string {
		return fmt.Sprintf("the server is stopping, or sends this stream elsewhere: come back within %v", time.Duration(f.RetryMs)*time.Millisecond)
	},
	"pong":  func(*facts) string { return "the server answers" },
	"error": func(f *facts) string { return fmt.Sprintf("%s: %s", f.Code, f.Message) },
}

// clockTime writes a moment in Unix milliseconds.
func clockTime(ms int64) string { return time.UnixMilli(ms).Format(time.DateTime) }

func (f *facts) booking() string {
	day := func(moment string) string { return moment[:min(len(moment), len(time.DateOnly))] }
	return fmt.Sprintf("#%s %s, %s, %s to %s, BRL %s", f.BookingID, f.HangarNumber, cmp.Or(f.GuestName, "-"),
		day(f.CheckInDate), day(f.CheckOutDate), f.Amount)
}

func (f *facts) changedBooking() string {
	return f.booking() + fmt.Sprintf(", %s, before %s", f.Status, cmp.Or(f.PreviousStatus, "-"))
}

// printable replaces what a terminal would obey instead of showing it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '�'
		}
		return r
	}, text)
}
