package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/api/loadtest"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

// loadtestCommand measures a running server.
type loadtestCommand struct {
	URL         string        `name:"url" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The server."`
	Connections int           `default:"100" help:"How many connections to open, up to 25000."`
	Duration    time.Duration `default:"10s" help:"How long to measure once they are open, up to 50m."`
	Transport   string        `enum:"ws,sse" default:"ws" help:"ws or sse."`
	Ramp        time.Duration `help:"Spread the opening over this time; by default as fast as the server takes it."`
	Token       []string      `placeholder:"TOKEN" help:"Access token to connect with; repeatable. Without one, and without --user, the owners of a demo server."`
	User        []string      `placeholder:"ID" help:"User to sign a token for, with the server's key (--jwt-secret, or that in DATA_DIR); repeatable."`
	Owner       []string      `placeholder:"ID" help:"Owner account to watch; repeatable. Without one, all that the tokens' users have."`
	Rate        float64       `placeholder:"N" help:"Commit this many bookings a second into DATABASE_URL, marked, and removed in the end: their time from commit to receipt is exact."`
	PID         int           `name:"pid" help:"The server's process, for its memory and CPU time; found by itself when it is on this machine."`
	JSON        bool          `name:"json" help:"Print the report as JSON."`
	YesRemote   bool          `help:"The server on another machine is mine, and may be loaded."`
}

// Run runs a load test and prints its report. What the server did wrong is an error.
func (c *loadtestCommand) Run(ctx context.Context, s *Settings, log *slog.Logger, out io.Writer) error {
	tokens, err := c.tokens(s)
	if err != nil {
		return err
	}
	subscribers, err := loadtest.SignIn(ctx, c.URL, c.YesRemote, tokens, c.Owner)
	if err != nil {
		return err
	}
	options := loadtest.Options{
		URL: c.URL, Connections: c.Connections, Duration: c.Duration, Transport: loadtest.Transport(c.Transport),
		Subscribers: subscribers, Ramp: c.Ramp, PID: c.PID, Remote: c.YesRemote, Rate: c.Rate,
		Progress: func(p loadtest.Progress) {
			fmt.Fprintf(out, "%4.0fs  %d open, %d failed, %d deliveries, %.1f/s", p.Elapsed.Seconds(), p.Open, p.Failed, p.Deliveries, p.PerSecond)
			if p.Latency != nil {
				fmt.Fprintf(out, ", p50 %.1f ms, p99 %.1f ms", p.Latency.P50, p.Latency.P99)
			}
			fmt.Fprintln(out)
		},
	}
	if c.JSON {
		options.Progress = func(p loadtest.Progress) {
			log.Info("load test", "open", p.Open, "failed", p.Failed, "deliveries", p.Deliveries, "per_second", int(p.PerSecond))
		}
	}
	if c.Rate > 0 {
		if s.DatabaseURL == "" {
			return errors.New("--rate needs DATABASE_URL, the database of the server at --url, to commit bookings to")
		}
		if err := s.completeURLs(); err != nil {
			return err
		}
		if !c.YesRemote && !db.Local(s.DatabaseURL) {
			return errors.New("DATABASE_URL is on another machine: say --yes-remote if bookings may be committed there")
		}
		pool, err := db.Open(ctx, s.DatabaseURL)
		if err != nil {
			return err
		}
		defer pool.Close()
		bookings := &demo.MarkedBookings{Pool: pool.DB}
		options.Booker = bookings
		defer func() {
			if err := bookings.Remove(context.WithoutCancel(ctx)); err != nil {
				log.Error("the load test's bookings are left: their payment_method is "+demo.BookingMark, "error", err)
			}
		}()
	}
	report, err := loadtest.Run(ctx, options)
	if report.Connections == 0 {
		return err
	}
	if err := errors.Join(c.print(out, report), err); err != nil {
		return err
	}
	return report.Err()
}

func (c *loadtestCommand) print(out io.Writer, report loadtest.Report) error {
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.WriteTable(out)
}

// tokens returns the tokens given and those signed for the users given.
func (c *loadtestCommand) tokens(s *Settings) ([]string, error) {
	tokens := c.Token
	if len(c.User) == 0 {
		return tokens, nil
	}
	secret, err := s.secret()
	if err != nil {
		return nil, err
	}
	for _, user := range c.User {
		token, _, err := api.NewTokens(secret).Sign(user, "", c.Ramp+c.Duration+time.Hour)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}
