package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// errToMend ends a check that found something that must be mended: exit code 1. What it
// is was printed.
var errToMend = errors.New("something must be mended: see the lines that begin with MEND")

// checkCommand says what stands between the settings and a working server, as a list to
// act on. It takes every setting of serve, and changes nothing.
type checkCommand struct {
	serveCommand

	Token  string `placeholder:"-|FILE" help:"Read an access token from standard input (-) or a file, and print what counts of it, or why it is refused."`
	Format string `default:"text" enum:"text,json" help:"text for people, or json."`
}

// Run prints the list.
func (c *checkCommand) Run(ctx context.Context, s *Settings, out io.Writer) error {
	f := &findings{out: out, json: c.Format == "json"}
	for _, err := range c.refused() {
		if err != nil {
			f.mend("%v", err)
		}
	}
	c.checkCertificate(f)
	store, end, err := s.checkDatabase(ctx, f)
	defer end()
	if err != nil {
		return err
	}
	if err := c.checkSignIn(ctx, s, store, f); err != nil {
		return err
	}
	c.checkRedis(ctx, f)
	c.checkPush(ctx, s, store, f)
	c.checkMail(ctx, f)
	if err := f.print(); err != nil {
		return err
	}
	if db.Stands(f.list) {
		return errToMend
	}
	return nil
}

// findings are what a check found, a line for each.
type findings struct {
	out  io.Writer
	json bool // all at once, at the end
	list []db.Finding
}

// good tells what works.
func (f *findings) good(format string, args ...any) { f.tell(db.Fine, format, args) }

// note tells what is worth knowing, or could not be asked.
func (f *findings) note(format string, args ...any) { f.tell(db.Note, format, args) }

// warn tells what is worse than it could be.
func (f *findings) warn(format string, args ...any) { f.tell(db.Warning, format, args) }

// mend tells what stands in the way, and what to do about it.
func (f *findings) mend(format string, args ...any) { f.tell(db.Obstacle, format, args) }

func (f *findings) tell(level db.Level, format string, args []any) {
	f.add(db.Finding{Level: level, Text: fmt.Sprintf(format, args...)})
}

// words stand before each line for people.
var words = map[db.Level]string{db.Fine: "ok  ", db.Note: "note", db.Warning: "warn", db.Obstacle: "MEND"}

func (f *findings) add(found db.Finding) {
	f.list = append(f.list, found)
	if f.json {
		return
	}
	area := ""
	if found.Area != "" {
		area = found.Area + ": "
	}
	fmt.Fprintf(f.out, "%s  %s%s\n", words[found.Level], area, found.Text)
	if found.Cure != "" {
		fmt.Fprintf(f.out, "      → %s\n", found.Cure)
	}
}

// print ends a list that is not for people.
func (f *findings) print() error {
	if !f.json {
		return nil
	}
	encoder := json.NewEncoder(f.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Works    bool         `json:"works"`
		Findings []db.Finding `json:"findings"`
	}{!db.Stands(f.list), f.list})
}

// checkDatabase looks at the database and returns its store, nil where none can be asked,
// and what closes it.
func (s *Settings) checkDatabase(ctx context.Context, f *findings) (store *db.Store, end func(), err error) {
	end = func() {}
	if s.DatabaseURL == "" {
		f.note("DATABASE_URL is not set: no database was asked")
		return nil, end, nil
	}
	if left := db.LeftOut(s.DatabaseURL); len(left) > 0 {
		f.note("DATABASE_URL has parameters that mean nothing here: %s; MAX_DATABASE_CONNECTIONS bounds a server's connections", strings.Join(left, ", "))
	}
	if err := s.completeURLs(); err != nil {
		f.mend("%v", err)
		return nil, end, nil
	}
	loc, err := s.location()
	if err != nil {
		return nil, end, err
	}
	dialer := &db.Dialer{}
	end = dialer.Close
	found := db.Check{URL: s.DatabaseURL, Direct: s.ListenDatabaseURL, Dialer: dialer}.Run(ctx)
	for _, one := range found {
		f.add(one)
	}
	if !db.Reached(found) {
		return nil, end, nil
	}
	pool, err := db.OpenThrough(ctx, s.direct(), dialer)
	if err != nil {
		return nil, end, err
	}
	end = func() { pool.Close(); dialer.Close() }
	store, err = db.NewStore(ctx, pool, loc)
	if err != nil { // what it lacks was said
		f.note("whose tokens there are was not asked: %v", err)
		return nil, end, nil
	}
	return store, end, nil
}
