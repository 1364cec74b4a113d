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
	IsNowOccupied, Recovered                                                  bool
	LastEventID                                                               string
	Message                                                                   string
	Amount, RevenueToday, OccupancyRate, GrowthPercentage, PendingPayouts     json.Number
	BookingsToday, ActiveListings                                             json.Number
	OwnerID                                                                   string
}

// printMessage prints a message as a line for people.
func printMessage(out io.Writer, m tail.Message) error {
	var f facts
	decoder := json.NewDecoder(bytes.NewReader(m.Data))
	decoder.UseNumber()
	text := ""
	if err := decoder.Decode(&f); err != nil {
		text = string(m.Data) // of a newer version
	} else {
		text = f.describe(m)
	}
	at := time.UnixMilli(m.Timestamp)
	_, err := fmt.Fprintf(out, "%s  %-18s %s\n", at.Format(time.TimeOnly), printable(strings.ReplaceAll(m.Type, "_", " ")), printable(text))
	return err
}

// describe says what a message tells.
func (f *facts) describe(m tail.Message) string {
	switch m.Type {
	case "booking_created":
		return f.booking()
	case "booking_updated", "booking_completed":
		return f.booking() + fmt.Sprintf(", %s, before %s", f.Status, cmp.Or(f.PreviousStatus, "-"))
	case "revenue_received":
		return fmt.Sprintf("#%s %s, BRL %s by %s", f.BookingID, f.HangarNumber, f.Amount, cmp.Or(f.PaymentMethod, "-"))
	case "occupancy_changed":
		if f.IsNowOccupied {
			return fmt.Sprintf("%s is occupied: %s", f.HangarNumber, cmp.Or(f.NewOccupant, "-"))
		}
		return fmt.Sprintf("%s is empty; it was %s", f.HangarNumber, cmp.Or(f.PreviousOccupant, "-"))
	case "metrics_updated":
		return fmt.Sprintf("today BRL %s and %s bookings, %s %% occupied, growth %s %%, %s listings, BRL %s to be paid out",
			f.RevenueToday, f.BookingsToday, f.OccupancyRate, f.GrowthPercentage, f.ActiveListings, f.PendingPayouts)
	case "connection_established":
		if f.Recovered {
			return fmt.Sprintf("owner %s, after %s", f.OwnerID, f.LastEventID)
		}
		return fmt.Sprintf("owner %s, with a gap in its history", f.OwnerID)
	case "resync":
		return "what was missed is not kept any more: the stream goes on from now"
	case "server_closing":
		return "the server is stopping"
	}
	return string(m.Data)
}

func (f *facts) booking() string {
	day := func(moment string) string { return moment[:min(len(moment), len(time.DateOnly))] }
	return fmt.Sprintf("#%s %s, %s, %s to %s, BRL %s", f.BookingID, f.HangarNumber, cmp.Or(f.GuestName, "-"),
		day(f.CheckInDate), day(f.CheckOutDate), f.Amount)
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
