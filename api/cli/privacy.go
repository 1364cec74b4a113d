package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// privacyCommand is what a person may ask for (LGPD, art. 18).
type privacyCommand struct {
	Export privacyExport `cmd:"" help:"Print what our tables hold of a person, as JSON."`
	Erase  privacyErase  `cmd:"" help:"Remove it, and print how many rows of each table. Browsers of the owners concerned load again. The journal stays, as the law wants."`
}

// personFlags say who the person is.
type personFlags struct {
	User  string `placeholder:"ID" xor:"who" required:"" help:"A user: what their account has left, and what is told under their name."`
	Guest string `placeholder:"ID" xor:"who" required:"" help:"A user of whom only what is told under their name counts."`
	Name  string `placeholder:"NAME" help:"The name as the portal had it, where the user is changed or gone there already."`
	Email string `placeholder:"ADDRESS" help:"Their e-mail address, in the same case: invitations name it."`
}

type privacyExport struct{ personFlags }

type privacyErase struct{ personFlags }

// withPerson opens the database, finds the person, and has something done about it, whose outcome
// is printed.
func (w *personFlags) withPerson(ctx context.Context, s *Settings, out io.Writer, do func(*db.Store, db.Person) (any, error)) error {
	if s.DatabaseURL == "" {
		return errors.New("privacy needs DATABASE_URL: the portal's database")
	}
	if err := s.completeURLs(); err != nil {
		return err
	}
	loc, err := s.location()
	if err != nil {
		return err
	}
	pool, err := db.Open(ctx, s.direct())
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := db.NewStore(ctx, pool, loc)
	if err != nil {
		return err
	}
	person, err := store.FindPerson(ctx, w.User+w.Guest, w.User != "", w.Name, w.Email)
	if err != nil {
		return err
	}
	outcome, err := do(store, person)
	if err != nil {
		return err
	}
	return printIndented(out, outcome)
}

// Run prints what is held of a person.
func (c *privacyExport) Run(ctx context.Context, s *Settings, out io.Writer) error {
	return c.withPerson(ctx, s, out, func(store *db.Store, p db.Person) (any, error) { return store.ExportPerson(ctx, p) })
}

// Run removes what is held of a person.
func (c *privacyErase) Run(ctx context.Context, s *Settings, out io.Writer) error {
	return c.withPerson(ctx, s, out, func(store *db.Store, p db.Person) (any, error) {
		erased, err := store.ErasePerson(ctx, p)
		return map[string]any{"erased": erased}, err
	})
}

func printIndented(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
